"""The demo model's replies: results of tool calls, refusals and questions."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from langchain_core.messages import ToolMessage

from smart_support.demo.model import intent, language
from smart_support.demo.model.other_languages import apology
from smart_support.demo.model.tone import Phrases
from smart_support.tools.handoff import ESCALATE

GREETING = re.compile(
    r"\bhow are you\b|^\W*(hi|hello|hey|hiya|good (morning|afternoon|evening|day)|greetings|hallo)\b", re.I
)
THANKS = re.compile(
    r"\b(thanks?|thank you|thx|ty|cheers|great|perfect|awesome|brilliant|lovely|excellent|wonderful)\b|"
    r"^\W*(?:ok|okay|fine|alright|all right|cool|good|nice|sure|got it|i see|\U0001f44d\S?|\u2764\S?|"
    r"\U0001f64f\S?)\W*$",
    re.I,
)
_GOODBYE = re.compile(
    r"\b(bye|goodbye|good night|see (?:you|ya)|cya|farewell|have a (?:good|nice|great))\b", re.I
)
# "No, that's all", "no thanks", "nope".
_NO_MORE = re.compile(
    r"\W*(?:no(?! ?one)|nope|nah|nothing)\b[^?]{0,25}$|\W*that'?s (?:all|it|everything)\b", re.I
)
_HELP = re.compile(
    r"\b(help|what can you|what do you do|how does this work|your (?:abilities|functions))\b", re.I
)
_ROBOT = re.compile(
    r"\b(?:are|r) (?:you|u) (?:\w+ ){0,3}(?:human|person|bot|robot|machine|ai|real|chatbot|computer)\b|"
    r"\b(?:talking|speaking|chatting|writing) (?:to|with) (?:\w+ ){0,3}(?:bot|robot|machine|ai|computer|"
    r"chatbot)\b|"
    r"\bis (?:this|that|there) (?:an? )?(?:\w+ )?(?:bot|robot|machine|ai|chatbot|real person|human)\b|"
    r"\bwho are you\b|\byour name\b|\bwho am i (?:talking|speaking|chatting)\b|\bis any(?:one|"
    r"body) (?:there|real)\b|"
    r"\bam i (?:talking|speaking|chatting) (?:to|with) (?:an? )?(?:\w+ )?(?:human|person)\b",
    re.I,
)
_COMPLAINT = re.compile(
    r"\bdelivered\b[^?]{0,80}\b(?:never|not|nothing|didn'?t|haven'?t|isn'?t|wasn'?t|no parcel|nowhere)\b|"
    r"\b(?:never|not|didn'?t|haven'?t)\b[^?]{0,40}\b(?:got|get|received|arrived|seen|"
    r"came)\b[^?]{0,60}\bdelivered\b|"
    r"\b(?:charged|billed|debited|paid|booked|taken|took)\b[^?]{0,60}\b(?:twice|double|(?:two|2|three|"
    r"3) times|"
    r"again)\b|"
    r"\b(?:twice|double|duplicate)\b[^?]{0,30}\b(?:charged?|billed|payment|paid|booking)\b|"
    r"\bwrong (?:\w+ ){0,2}(?:items?|size|colou?r|products?|order|one|thing|parcel|package|model|lamp|"
    r"chair|person|"
    r"house|amount|price)\b|\bnot what i (?:ordered|bought|paid)|\b(?:someone|somebody|another "
    r"customer)(?: else)?'?s (?:parcel|package|order|item|delivery)|"
    r"\b(?:missing|incomplete)\b|\b(?:only|just) (?:got|received|one|came|half|sent|contained)\b|"
    r"\b(?:came|arrived|delivered|got|received|contained|was) (?:with )?only\b|"
    r"\b(?:broken|damaged|smashed|shattered|cracked|defective|faulty|scratched|dented|torn|leaking|ruined|"
    r"in pieces|"
    r"does ?n'?t work|not working|stopped working|mou?ldy|dirty|used)\b|"
    r"\b(?:worst|terrible|awful|horrible|appalling|disgusting|useless|rubbish|pathetic)\b|"
    r"\b(?:ordered|bought|paid for)\b[^?]{0,60}\b(?:and|but|yet)\b[^?]{0,20}\b(?:sent|got|received|came|"
    r"arrived|delivered)\b|"
    r"\b(?:someone|somebody|stranger|thief|thieves|hackers?)\b[^?]{0,30}\b(?:us(?:ed|ing)|empt(?:ied|ying)|"
    r"st(?:ole|ealing)|t(?:ook|aking)|spen(?:t|ding)|with(?:drew|drawing)|access\w*|logged|hacked|paid|"
    r"paying)\b|"
    r"\b(?:courier|driver|postman|delivery (?:guy|man|person|driver))\b[^?]{0,30}\b(?:left|threw|rude|"
    r"dropped|"
    r"dumped|damaged|shouted|refused)\b|"
    r"\b(?:hacked|phish\w*)\b|\b(?:strange|unknown|suspicious|unauthori[sz]ed|fraudulent|odd|weird) "
    r"(?:payment|charge|transaction|transfer|booking|debit|activity)|"
    r"\b(?:never|did ?n'?t|did not) (?:bought|buy|order(?:ed)?|ma(?:de|ke)|authori[sz]ed?|"
    r"request(?:ed)?)\b|"
    r"\b(?:box|parcel|package|envelope)\b[^?]{0,20}\bempty\b|\bempty (?:box|parcel|package|envelope)\b|"
    r"\b(?:no ?one|nobody|never)\b[^?]{0,20}\b(?:answer|repl|respond|pick(?:s|ed)? up|call(?:s|ed)? back)|"
    r"\b(?:e-?mailed|called|phoned|written|wrote|contacted)\b[^?]{0,25}\b(?:times|already|before|weeks?|"
    r"days?)\b|"
    r"\b(?:lost|stolen|disappeared|gone missing) (?:in|from|by|on|at)\b|\b(?:parcel|package|order|"
    r"delivery)\b[^?]{0,30}"
    r"\b(?:lost|stolen|vanished|disappeared)\b|\b(?:lawyer|solicitor|sue|court|fraud|scam(?:med)?|"
    r"rip-?off|police)\b",
    re.I,
)
_GENERAL = re.compile(
    r"\bdo you (?:ship|deliver|sell|offer|accept|take|stock|open|work|also|still|only|have a (?:shop|"
    r"store|phone|hotline))\b|"
    r"\b(?:opening|business|office) hours\b|\b(?:policy|policies|warranty|guarantee|paypal|klarna|"
    r"terms and conditions|"
    r"payment methods?|return period|phone number|hotline)\b|\bhow long (?:do|does|will|would|is|"
    r"until)\b[^?]{0,30}"
    r"\b(?:take|last|valid|refund|delivery|shipping)",
    re.I,
)
_NO_NUMBER = re.compile(
    r"\b(?:do ?n'?t|do not|can'?t|cannot|never|did ?n'?t|lost|forgot|forgotten|misplaced|no|without|"
    r"what'?s|deleted)\b"
    r"[^.?!]{0,40}\b(?:number|order no|order id|confirmation|invoice)\b",
    re.I,
)
# What a customer may request of the tools, where it is also the matter of a complaint.
_REMEDIES = frozenset(
    ["cancel", "refund", "discount", "coupon", "update", "block", "dispute", "delete", "upgrade"]
)
MAX_LISTED = 8
MAX_GREETING_WORDS = 4
_QUESTIONS = {
    "email": "What is your email address?",
    "percent": "What percentage should it be?",
    "days": "How many days should it be?",
    "cents": "What amount should it be?",
    "amount": "What amount should it be?",
    "date": "Which date should it be?",
    "address": "What is the complete address?",
}
# The part of a greeting that says what the assistant does.
_ABILITIES = re.compile(r"\bI can\b.*", re.S)


def describe_results(results: Sequence[ToolMessage], phrases: Phrases) -> str:
    """Describe the results of an agent's calls, each in one sentence or more."""
    said = " ".join(dict.fromkeys(_of_result(result, phrases) for result in results))
    # A handover uses the company's own message, and a failure needs no cheerful opening.
    all_done = results and all(_status(result) == "ok" and result.name != ESCALATE for result in results)
    return f"{phrases.opening}{said}" if all_done else said


def _status(result: ToolMessage) -> str:
    artifact = result.artifact if isinstance(result.artifact, Mapping) else {}
    return artifact.get("status") or ("error" if result.status == "error" else "ok")


def _of_result(result: ToolMessage, phrases: Phrases) -> str:
    artifact = result.artifact if isinstance(result.artifact, Mapping) else {}
    status = _status(result)
    if status == "ok":
        return _of_success(str(result.text), result.name or "tool")
    if artifact.get("as_it_stands"):
        return str(result.text)
    if status in ("rejected", "expired"):
        return _of_refusal(
            result, artifact, phrases.expired if status == "expired" else phrases.rejected, phrases
        )
    if status == "skipped":
        return f"I also skipped: {_title(result.name).lower()}."
    return str(result.text)


def _of_refusal(result: ToolMessage, artifact: Mapping[str, Any], phrase: str, phrases: Phrases) -> str:
    said = phrase.format(what=_title(result.name).lower())
    if reason := artifact.get("reason"):
        said += f" Reason: {reason}"
        said += "" if said.endswith((".", "!", "?")) else "."
    if skipped := artifact.get("skipped"):
        said += f" I also skipped: {'; '.join(str(item) for item in skipped)}."
    return f"{said} {phrases.again}"


def _of_success(text: str, name: str) -> str:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text[:1000] or f"{_title(name)} is done."
    if isinstance(value, dict) and isinstance(value.get("message"), str):
        return str(value["message"])
    if isinstance(value, list):
        items = "; ".join(_line(item) for item in value[:MAX_LISTED])
        return f"I found {len(value)}: {items}." if value else "I found nothing."
    return f"{_title(name)}: {_line(value)}."


def _line(value: Any) -> str:
    if isinstance(value, dict):
        flat = [
            (key, item)
            for key, item in value.items()
            if not isinstance(item, (dict, list)) and item is not None
        ]
        return ", ".join(f"{str(key).replace('_', ' ')} {item}" for key, item in flat[:MAX_LISTED]) or "done"
    return str(value)[:300]


def ask_for(missing: str, kind: str, schema: Mapping[str, Any], phrases: Phrases) -> str:
    """Return a short question for an argument that a tool requires and the customer has not given.

    Args:
        missing: the name of the argument; `kind`: its kind, as `tool_choice.kind_of` gives it.
    """
    label = re.sub(r"_(id|no|number|cents)$", "", missing).replace("_", " ")
    if missing.endswith(("_id", "_no", "_number")):
        return phrases.which.format(label=label)
    if options := schema.get("enum"):
        listed = ", ".join(str(option) for option in options[:MAX_LISTED])
        lead, _, noun = label.partition(" ")
        return (
            f"{lead.capitalize()} which {noun}: {listed}?"
            if lead in ("from", "to")
            else f"Which {label}: {listed}?"
        )
    return phrases.missing.format(question=_QUESTIONS.get(kind, f"What should the {label} be?"))


def needs_no_tool(text: str) -> bool:
    """Whether a message is for nobody's tool, whatever its words: another language, a complaint."""
    return _is_foreign(text) or bool(_ROBOT.search(text)) or _is_complaint(text)


def is_general(text: str) -> bool:
    """Whether a message asks about the company, not about something of the customer."""
    return bool(_GENERAL.search(text))


def is_without_number(text: str) -> bool:
    """Whether somebody says that they don't have the number."""
    return bool(_NO_NUMBER.search(text)) and not language.identifiers(text) and not language.emails(text)


def regret(text: str, phrases: Phrases) -> str:
    """What precedes an answer to somebody who is upset; empty for others."""
    return phrases.sorry if language.is_upset(text) else ""


def how_to_request(tool_words: str, ids: Sequence[str], phrases: Phrases) -> str:
    """Answer a question about an action: nothing is changed, and how to request it."""
    example = f'"{" ".join([tool_words, *ids[:1]])}"'
    return phrases.question_only.format(example=example)


def reply_without_tools(
    request: str, greeting: str, phrases: Phrases, *, withdrawn: str = "", can_hand_over: bool = False
) -> str:
    """Answer a message that requests nothing that a tool can do.

    Args:
        withdrawn: the name of the tool whose call the customer has just withdrawn.
        can_hand_over: there is a tool that calls a human.
    """
    hand_over = f" {phrases.hand_over}" if can_hand_over else ""
    if withdrawn:
        return phrases.withdrawn.format(what=_title(withdrawn).lower())
    if _is_foreign(request):
        return f"{apology(request)} {phrases.english}".strip()
    if _ROBOT.search(request):
        return phrases.robot
    if _is_complaint(request) or language.is_upset(request):
        return f"{phrases.trouble}{hand_over}"
    reading = intent.read(request)
    if reading.refused or reading.takes_back:
        return phrases.left
    if social := _small_talk(request, greeting, phrases):
        return social
    if "?" in request or any(part.mood != "request" for part in reading.parts):
        return f"{phrases.unknown}{hand_over}"
    abilities = _ABILITIES.search(greeting)
    return f"{phrases.unclear} {abilities[0] if abilities else greeting}{hand_over}"


def _small_talk(request: str, greeting: str, phrases: Phrases) -> str:
    if _GOODBYE.search(request):
        return phrases.goodbye
    if _NO_MORE.match(request):
        return phrases.thanks if "th" in request.lower() else phrases.left
    is_short = len(request.split()) <= MAX_GREETING_WORDS
    if _HELP.search(request) or (GREETING.search(request) and is_short):
        return greeting
    if THANKS.search(request) and "?" not in request:
        return phrases.thanks
    return ""


def _is_foreign(text: str) -> bool:
    return apology(text) is not None and language.address(text) is None


def _is_complaint(text: str) -> bool:
    if not _COMPLAINT.search(text) or language.wants_human(text):
        return False
    reading = intent.read(text)
    return not any(
        part.mood == "request" and _REMEDIES & {*language.terms(part.text)} for part in reading.parts
    )


def _title(name: str | None) -> str:
    return (name or "the action").replace("_", " ").capitalize()
