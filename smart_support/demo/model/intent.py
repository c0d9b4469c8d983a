"""What each part of a message does: it requests something, asks about something, says no, or corrects.

Only a request may lead to a write. All patterns are linear in the length of a text.
"""

import re
from collections.abc import Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Literal

from smart_support.demo.model import language
from smart_support.demo.model.language import terms
from smart_support.demo.model.words import word_set

# `request`: do it. `state`: what is or was. `idea`: how it would be done, or what would happen.
Mood = Literal["request", "state", "idea"]
# A text is read in at most so many chunks; the rest belongs to the last one.
MAX_CHUNKS = 40
MAX_SCOPE_CHARS = 160
ACTIONS = word_set(
    "cancel refund discount coupon address update create delete upgrade transfer block pay send extend "
    "dispute apply"
)


def _any_of(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.I)


_CHUNK_END = _any_of(
    # Not after "Hauptstr." and the like.
    r"(?<=[.!?;])(?<!str\.)(?<!\bst\.)(?<!\bno\.)(?<!\bnr\.)(?<!\bave\.)(?<!\bav\.)(?<!\brd\.)\s+",
    r"\n+",
    r"\s+[-\u2013\u2014]+\s+",
    r"(?:\.{3,}|\u2026)\s*",
    r",?\s+but\s+",
    r",?\s+(?=i mean)",
    r"\s+or\s+(?=(?:else )?(?:i|we)(?:'ll| will)\b)",
    r",?\s+(?=and (?:please|(?:can|could) you|i want|i'd like|give me)\b)",
    r",\s*(?=(?:no|not|sorry|wait|actually|oops|or rather|just|never ?mind|forget|ignore|instead|scrap|"
    r"scratch)\b)",
    r",\s*(?=(?:make (?:it|that)|i(?:'ll| will| would|'d)? (?:rather )?keep|keep|leave)\b)",
)
_TAKES_BACK = _any_of(
    r"\bnever ?mind\b",
    r"\bforget (?:about )?(?:it|that|this|everything|(?:the|my) (?:cancel|refund|request|change)\w*)",
    r"\b(?:scratch|scrap|undo|ignore|disregard|drop|skip|retract|withdraw) (?:it|that|this|all that)\b",
    r"\b(?:ignore|disregard|forget|cancel|withdraw|drop|retract|revoke|stop) (?:my|the|that|this) "
    r"(?:last |previous )?(?:request|message)\b",
    r"\b(?:take|took) (?:it|that|this) (?:all )?back\b",
    r"\bchanged? (?:my|our) minds?\b",
    r"\b(?:on|upon) (?:second|further) thoughts?\b|\bon reflection\b",
    r"\b(?:no way|no chance|nah|kidding|joking)\b",
    r"\b(?:absolutely|certainly|definitely|of course|surely) not\b",
    r"\b(?:accidentally|mistakenly) (?:wrote|sent|typed|pressed|asked)\b|\bmeant to (?:ask|say|write|"
    r"know)\b",
    r"\b(?:wait|hold on|hang on|actually),? (?:no|stop)\b|^\W*(?:no\W+)?(?:wait|hold on|hang on)\W*$",
    r"\b(?:keep|keeping) (?:it|them|that|this|order \d+|(?:the|my) (?:order|money|subscription|plan|card|"
    r"address))\b",
    r"\bstay(?:ing)? (?:on|with|as|at)\b",
    r"\bleave (?:it|that|them|everything)\b(?! (?:at|with|in|by|to|for|on)\b)",
    r"\bleave\b[^.,!?]{0,40}\b(?:as (?:it|they|is|was)\b|alone|unchanged)",
    r"^\W*(?:(?:oh|no|ok|okay|please|just|sorry|oops|wait|actually)\W+)*(?:abort|undo|withdraw|retract|"
    r"revert|"
    r"halt|nvm|nm)(?: (?:it|that|this|please|now|everything))*\W*$",
    r"^\W*(?:(?:oh|no|please)\W+)*stop(?:,|(?: please| it| that| now| everything)*\W*$)",
)
# Says no to what comes after it.
_NO = _any_of(
    r"\b(?:(?:do|did|should|must|have|wo|would)(?: ?n['\u00b4`;]?t|not| not)|will not|never|not|"
    r"no (?:longer|need|reason|wish|desire|intention|plans?|interest|point)|no one|nobody|no|nor|neither|"
    r"without|instead of|rather than|as opposed to|except|other than|"
    r"(?:hold|pause|postpone|delay|suspend|undo|reverse|revert|halt)(?= (?:the|my|that|this|any|all)\b)|"
    r"cancel(?= (?:the|my|that|this) (?:refund|cancellation|change|dispute|transfer|upgrade|discount)\b)|"
    r"stop|avoid|refuse|refrain|hold off|forbid|prevent|decline|against|under no circumstances|"
    r"you (?:can(?:'?t| ?not)|may not|are not))(?=\W|$)"
)
# Says no to what comes before it: "a refund is not necessary".
_DECLINED = _any_of(
    r"\b(?:not|no longer|never|[a-z]+n't) (?:be )?(?:necessary|needed|required|wanted)\b",
    r"\b(?:not|[a-z]+n't) (?:be )?(?:what (?:i|we) (?:want|need|ask)\w*|my (?:wish|intention))\b",
    r"\b(?:unnecessary|unwanted)\b",
)
_LEADS_IN = frozenset(["instead of", "rather than", "as opposed to", "without"])
_NO_TO_VALUES = frozenset(["not", "nor", "except", "other than"])
# "Please don't end SUB-1040": an order to leave something, whatever it is.
_DO_NOT = re.compile(r"do(?: ?n|es).*|do not|never", re.I)
_IMPERATIVE = re.compile(r"\W*(?:(?:please|pls|plz|no|but|just|and|so|ok|okay)\W+)*", re.I)
_IS_ACT = re.compile(
    r"\s*(?:ever |just )?(?!(?:know|have|see|think|understand|mind|want|need|care|recogni[sz]e|remember|"
    r"get|like)\b)[a-z]+ "
    r"(?!to\b)[^,;.!?]*\d",
    re.I,
)
_NO_REFUSAL = _any_of(r"\bwhy (?:\w+(?:n't| not)|not)$", r"\bif not$", r"\bor not$")
# "Don't forget to cancel" is no refusal.
_FORGET = _any_of(r"\s*(?:forget|hesitate|fail) to\b", r"\s*only\b")
# Does not end what a "not" is about: "don't just cancel", "do not, I repeat, cancel".
_STRESS = _any_of(r"\s*(?:just|simply|please|so|ever)?\b[\s,]*")
_SCOPE_END = _any_of(
    r"[,;:.!?\n]",
    r"\s[-\u2013\u2014]+\s",
    r"\b(?:but|just|therefore|please)\b",
    r"\b(?:and|so) (?:please|just|instead|rather|only|then|i|can|could|would|give|tell|show)\b",
    r"\binstead\b(?! of)",
)
_AND = re.compile(r"(?<!ahead)(?<!try)( and )", re.I)
_NEXT_WISH = _any_of(
    r"\b(?:i'd|i would|i want|i need|can you|could you|please|let me|let's)\b", r"[,;:.!?\n]"
)
_INSERTION = re.compile(
    r",\s*(?:under any circumstances?|please|i repeat|whatever happens|whatever you do|for now|ever|at all|"
    r"again|really|by any means|in any case)\s*,",
    re.I,
)
# "Anything but a refund", "all but 1042".
_BUT = re.compile(r"\b(?:anything|everything|all) but\b", re.I)
# "Don't", "don't do that": no to what was said before. "I don't want it" may be a reason.
_THAT = re.compile(
    r"(?:\W|\b(?:do|to|it|that|this|so|any ?more|now|yet|after all|either|anything|bother|proceed|go|ahead|"
    r"through|with|continue|thanks?|you|the|my|order|process|send|submit|want(?= (?:that|this|to)\b))\b)*",
    re.I,
)
_BECAUSE = re.compile(r"\b(?:because|since)\b", re.I)
_POLITE = (
    r"^\W*(?:(?:hi|hello|hey|ok|okay|so|and|well|please|also|then|just|oh|um|hmm|yes|sorry|excuse me|"
    r"quick question|i (?:just )?(?:want(?:ed)?|need|would like) to (?:know|ask)|i'd like to (?:know|ask)|"
    r"(?:(?:can|could) you )?tell me|do you know|i wonder(?:ed)?|i'm wondering|wondering|until|"
    r"till)\b[\s,:]*)*"
)
_DONE = (
    r"(?:cancell?ed|refunded|returned|changed|updated|blocked|upgraded|transferred|disputed|deleted|closed|"
    r"requested|extended)"
)
_STATE = _any_of(
    _POLITE + r"(?:was|were|has|had|did|does|is|are|why(?! (?:\w+n't|not)\b)|who|when|where|which|"
    r"will (?:it|my|the|order|#?\d+)|have (?:you|i|we|they|my|the|your)|do (?:i|we|they))\b",
    rf"\b(?:i|we|you|they|he|she|someone|somebody)(?: have| had|'ve|'d| already| just| all)* {_DONE}\b",
    rf"\b(?:my|a|his|her|our) (?!order|parcel|card|account|plan|money|address)\w+ {_DONE}\b",
    rf"\b(?:was|were|been|being|got|is|are|gets) (?:\w+ )?{_DONE}\b",
    r"\bi asked (?:you|for)\b",
)
_HOW = _any_of(
    r"\bhow (?:do|can|could|would|should|to)\b",
    r"\b(?:possible|able|allowed)\b",
    r"\bwhat (?:happens|would happen|if)\b",
    r"\b(?:can|could|may|should) (?:i|we)\b",
    r"\b(?:if|in case) (?:i|we)\b",
    r"\b(?:i|we) (?:may|might|could|would)\b",
    r"\b(?:can|could) (?:\S+ ){0,4}be\b",
    r"\b(?:thinking|thought) (?:of|about)\b|\bconsider",
)
_IDEA = _any_of(
    _POLITE + r"(?:do you\b(?! (?:mind|know))|are you\b|will i\b|would (?:i|it)\b|"
    r"(?:can|could|may) (?:i|we)\b(?! (?:please )?(?:get|have|ask you|request)))",
    r"\b(?:i|we)(?:'ll| will|'m going to| am going to) (?:\w+ ){0,2}(?:cancel|return|refund|block|close|"
    r"delete)\b",
    r"\bhow (?:do|does|did|can|could|would|should|to|long|much|many|is|are)\b",
    r"\bwhat \w+ (?:do|does|did|can|are|is)\b|\bwhat (?:happens|would|will|if|does|do|did|is|are)\b|"
    r"\bwhat'?s\b",
    r"\b(?:when|where|why) (?:can|could|may|should) (?:i|we)\b",
    r"\bis (?:it|there) (?:still )?(?:possible|ok|okay|too late|allowed|a|an|any)\b|\b(?:are there|"
    r"is that)\b",
    r"\bam i (?:able|allowed)\b|\bbefore (?:you|i|we)\b",
    r"^\W*\w+ing\b[^.?!]{0,40}\b(?:would|could|might|is|was|seems)\b",
    rf"\b(?:can|could|may|might|would|will|should) (?:\S+ ){{0,4}}be (?:{_DONE}|possible)\b",
    r"\b(?:know|ask|understand|see|wonder(?:ing)?) (?:if|whether|how|what)\b|\bwhether\b",
    r"\b(?:maybe|perhaps) (?:i|we)\b|\b(?:i|we) (?:may|might)\b|\bshould (?:i|we)\b",
    r"\b(?:i|we) (?:could|would)\b(?! (?:like|love|appreciate|prefer|rather|be|need|want|please|really))",
    r"\b(?:thinking|thought) (?:of|about)\b|\bconsider(?:ing)?\b|\bsuppose\b|\bhypothetical|\bimagine\b|"
    r"\bin theory\b",
    r"\b(?:was|were) (?:going|about|planning|meaning|thinking)\b|\bsupposed to\b",
    r"\bunless\b|\bcan't (?:believe|understand)\b",
    r"\b(?:if|in case) (?:i|we)\b(?! may)|\bif\b[^.?!]{0,80}\b(?:i|we)(?:'ll| will| would|'d)\b",
)
_REPORTED = _any_of(
    r"\b(?:said|says?|told|tells|wrote|writes?|asked|reads?|e-?mail|message|button|page|website|app|"
    r"phrase|words?)\b"
    r"[^\"\u201c]{0,40}(?:\"[^\"]{3,200}\"|\u201c[^\u201d]{3,200}\u201d|"
    r"(?<!\w)['\u2018][^'\u2019]{3,200}['\u2019](?!\w))",
    r"\b(?:he|she|they|someone|somebody|(?:my|a|your|the) \w+) (?:\w+ )?(?:told|said|says|suggested|"
    r"recommended|advised)\b",
    r"\b(?:i|we) (?:was|were) told\b|\b(?:i|we) (?:read|heard|saw|thought|understood)\b",
)
_CORRECTS = _any_of(
    r"^\W*(?:(?:oh|no|nope|oops|sorry|wait|actually|typo|correction|ah|argh|instead|"
    r"not (?:that|this)(?: one)?)\b\W*)+(?:(?:i|"
    r"it) (?:mean|meant|was|"
    r"is|should)|the (?:right|correct)|rather|make|change|it's|order|number|#|\d|[A-Z]{1,6}-?\d)",
    r"\bi mean(?:t)?\b",
    r"^\W*(?:or rather|rather|make (?:it|that)|it should (?:be|have been)|not that one)\b",
    r"^\W*(?:typo|correction|wrong (?:number|one|order))\b",
)
# "Where is 1043 and cancel 1042": what comes after a lookup may be a request.
_LOOKS_UP = re.compile(_POLITE + r"(?:where|when will|what'?s the status|what is the status|is my)\b", re.I)
_AND_DO = re.compile(
    r",?\s+and\s+(?:also\s+)?(?=(?:cancel|refund|change|give|send|make|block|apply|upgrade|extend|"
    r"transfer)\b)",
    re.I,
)
# "Can I still cancel 1057? If so, please do."
_IF_SO = re.compile(
    r"^\W*(?:if (?:so|yes|it is|possible)|then|in that case|yes)\b[^?]{0,30}\b(?:do|go ahead)\b", re.I
)
_MAKE_IT = re.compile(r"\b(?:make|change) (?:it|that)\b", re.I)
_FILLER = re.compile(
    r"\b(?:no|nope|sorry|oops|wait|actually|oh|hmm|ok|okay|i'll|i'd|rather|well|really)\b", re.I
)
_JUST_NO = re.compile(r"\W*(?:no|nope)\W*", re.I)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a message, without what is said no to in it, and what it does."""

    text: str
    mood: Mood


@dataclass(frozen=True, slots=True)
class Reading:
    """What a message does.

    Attributes:
        parts: what it requests and asks about, in order.
        refused: what it says no to, in its own words.
        takes_back: it withdraws what was requested before it in the conversation.
        corrects: it gives another value for what was requested before it in the conversation.
    """

    parts: tuple[Part, ...]
    refused: tuple[str, ...] = ()
    takes_back: bool = False
    corrects: bool = False


@lru_cache(maxsize=256)
def read(text: str, actions: frozenset[str] = frozenset()) -> Reading:
    """Read a message.

    Args:
        actions: canonical words for what tools do, beside the usual ones.
    """
    actions = actions | ACTIONS
    parts: list[Part] = []
    refused: list[str] = []
    takes_back = corrects = False
    text = _BUT.sub("all except", _INSERTION.sub(" ", text.replace("\u2019", "'")))
    for chunk in _chunks(text):
        kept, is_taken_back = _without_taking_back(chunk)
        kept, said_no, is_that = _without_refusals(kept, actions)
        refused += said_no
        if is_taken_back or is_that or (parts and _JUST_NO.fullmatch(chunk)):
            # It is about what comes before it: in this message, or else in the conversation.
            takes_back = takes_back or not parts
            parts = []
        if parts and parts[-1].mood == "idea" and _IF_SO.match(kept):
            parts[-1] = Part(f"{parts[-1].text} {kept}", "request")
            continue
        if not has_value(kept) and not terms(_FILLER.sub(" ", kept)):
            continue
        if (
            _CORRECTS.search(kept)
            and has_value(kept)
            and not actions & set(terms(_MAKE_IT.sub(" ", language.PERCENT.sub(" ", kept))))
        ):
            if parts:
                parts[-1] = Part(replaced(parts[-1].text, kept), parts[-1].mood)
            else:
                corrects = True
                parts.append(Part(kept, "request"))
            continue
        lookup = _AND_DO.search(kept) if _LOOKS_UP.match(kept) else None
        _append(parts, Part(kept[: lookup.start()] if lookup else kept, _mood(kept)))
        if lookup:
            _append(parts, Part(kept[lookup.end() :], "request"))
    return Reading(tuple(parts), tuple(refused), takes_back, corrects)


def _chunks(text: str) -> list[str]:
    ends = [(match.start(), match.end()) for match in islice(_CHUNK_END.finditer(text), MAX_CHUNKS)]
    starts = [0, *(end for _, end in ends)]
    stops = [*(start for start, _ in ends), len(text)]
    return [text[start:stop] for start, stop in zip(starts, stops, strict=True) if text[start:stop].strip()]


def _append(parts: list[Part], part: Part) -> None:
    """Add a part, to the last one where they do the same: an address or a reason may have several "
    "chunks."""
    if parts and parts[-1].mood == part.mood == "request":
        gap = " " if parts[-1].text.rstrip()[-1:] in ".!?;," else ", "
        parts[-1] = Part(parts[-1].text.rstrip() + gap + part.text.lstrip(" ,"), part.mood)
    else:
        parts.append(part)


def _without_taking_back(chunk: str) -> tuple[str, bool]:
    rest = _TAKES_BACK.sub(" ", chunk)
    return rest, rest != chunk


def _without_refusals(chunk: str, actions: Set[str]) -> tuple[str, list[str], bool]:
    """The chunk without what it says no to, that in its own words, and whether it says no to `that`."""
    kept, refused, is_that, at = "", [], False, 0
    if _DECLINED.search(chunk) and actions & set(terms(chunk)):
        return "", [chunk.strip()], False
    because = _BECAUSE.search(chunk)
    # A reason may say "don't" as well; it refuses nothing that the words before it request.
    until = because.start() if because and actions & set(terms(chunk[: because.start()])) else len(chunk)
    for cue in _NO.finditer(chunk, 0, until):
        before = chunk[max(0, cue.end() - 40) : cue.end()]
        if cue.start() < at or _NO_REFUSAL.search(before) or _FORGET.match(chunk, cue.end()):
            continue
        word = cue.group().lower()
        stop = _end_of_scope(chunk, cue.end(), word)
        scope = chunk[cue.end() : stop]
        first, and_, _ = _AND.split(scope, 1) if _AND.search(scope) else (scope, "", "")
        if and_ and terms(first) and not actions & set(terms(first)):
            # "I don't recognise it and dispute it": only what comes first is said no to.
            stop, scope = cue.end() + len(first), first
        if _says_no(word, scope, actions) or (
            _DO_NOT.fullmatch(word) and _IMPERATIVE.fullmatch(chunk, 0, cue.start()) and _IS_ACT.match(scope)
        ):
            kept += chunk[at : cue.start()]
            refused.append(chunk[cue.start() : stop].strip())
            at = stop
        elif word not in _NO_TO_VALUES and word != "no":
            is_that = is_that or bool(_THAT.fullmatch(scope.partition(",")[0]))
    kept += chunk[at:]
    return (_NO.sub(" ", kept) if is_that else kept), refused, is_that


def _end_of_scope(chunk: str, at: int, word: str) -> int:
    if word not in _LEADS_IN and chunk[at : at + 1] == ",":
        return min(len(chunk), at + MAX_SCOPE_CHARS)
    stress = _STRESS.match(chunk, at)
    end = (_NEXT_WISH if word in _LEADS_IN else _SCOPE_END).search(chunk, stress.end() if stress else at)
    return min(end.start() if end else len(chunk), at + MAX_SCOPE_CHARS)


def _says_no(word: str, scope: str, actions: Set[str]) -> bool:
    """Whether a word such as `not` says no to an action, or to a value such as an order's number."""
    said = terms(scope)
    if word == "no":
        return (
            said[:1] != () and said[0] in actions and not re.match(r",|\s*(?:i|we|you|make)\b", scope, re.I)
        )
    return bool(actions & set(said)) or (word in _NO_TO_VALUES and _is_value(scope))


def _mood(chunk: str) -> Mood:
    if _REPORTED.search(chunk) or _IDEA.search(chunk):
        return "idea"
    return "state" if _STATE.search(chunk) else "request"


def asks_how(text: str) -> bool:
    """Whether a text asks how or whether something is done, not how long it takes or what it costs."""
    return bool(_HOW.search(text))


def _is_value(text: str) -> bool:
    return bool(re.fullmatch(r"\W*(?:order |number )?#?[A-Z]{0,6}-?\d[\d.,]*\W*", text, re.I))


def has_value(text: str) -> bool:
    """Whether a text holds a number or an e-mail address."""
    return bool(re.search(r"\d", text) or language.emails(text))


def _alike(value: str, request: str) -> list[str]:
    """The ids of a request that look like another one: as many digits, or else the same letters."""
    ids = [mention.value for mention in language.identifiers(request)]
    letters = value.rstrip("0123456789")
    same = [one for one in ids if one.rstrip("0123456789").lower() == letters.lower()]
    return [one for one in same if len(one) == len(value)] or same


def replaced(request: str, correction: str) -> str:
    """A request with the value that a correction gives in place of its own of the same kind."""
    for kind in (language.EMAIL, language.PERCENT, language.DATE, language.AMOUNT, language.DAYS):
        new, old = kind.search(correction), kind.search(request)
        if new and old:
            return request[: old.start()] + new.group().strip() + request[old.end() :]
    if (ids := language.identifiers(correction)) and (own := _alike(ids[-1].value, request)):
        new_id, old_id = ids[-1].value, own[-1]
        at = request.rindex(old_id)
        return request[:at] + new_id + request[at + len(old_id) :]
    number = re.search(r"(?<![\w.])\d+(?:[.,]\d{1,2})?(?!\w)", correction)
    ids_of_request = {mention.value for mention in language.identifiers(request)}
    for old in re.finditer(r"(?<![\w.])\d+(?:[.,]\d{1,2})?(?![\w.]*\w)", request):
        if number and old.group() not in ids_of_request:
            return request[: old.start()] + number.group() + request[old.end() :]
    return f"{request.rstrip(' .!?')} {correction}"
