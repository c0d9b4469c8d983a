"""The demo model's phrases: friendly, formal or casual, chosen by the words of the configured tone."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phrases:
    """The phrases of a tone.

    Attributes:
        opening: precedes the results of successful calls; may be empty.
        rejected, expired: an action that did not run; `{what}` is its name.
        again: how to request it again.
        thanks: the answer to thanks.
        unclear: the message was not understood.
        wish: asks what to do; `{about}` is the object of the message.
        which: asks for an id; `{label}` is the kind of object.
        missing: asks for another value; `{question}` is the question.
        withdrawn: the customer withdrew a request; `{what}` is its name.
        left: the customer does not want something done.
        question_only: the customer asks about an action; `{example}` is how to request it.
        sorry: precedes an answer to somebody who is upset.
        trouble: something went wrong that only a human can settle.
        unknown: a question that no tool answers. `hand_over`: offers a human.
        by_email: asks for an e-mail address in place of a number.
        goodbye, robot, english: as their names say.
    """

    opening: str
    rejected: str
    expired: str
    again: str
    thanks: str
    unclear: str
    wish: str
    which: str
    missing: str
    withdrawn: str
    left: str
    question_only: str
    sorry: str
    trouble: str
    unknown: str
    hand_over: str
    by_email: str
    goodbye: str
    robot: str
    english: str


FRIENDLY = Phrases(
    opening="",
    rejected="I'm sorry, a colleague rejected this request ({what}), so nothing was changed.",
    expired="I'm sorry, nobody approved this request ({what}) in time, so it has expired.",
    again="If you still want it, ask me again and I will make a new request.",
    thanks="You're welcome. Is there anything else I can do for you?",
    unclear="Sorry, I can't help with that.",
    wish="What would you like me to do {about}?",
    which="Which {label} do you mean? Please tell me its number.",
    missing="{question}",
    withdrawn="I have withdrawn your request ({what}), so nothing was changed.",
    left="All right, I leave that as it is. What else can I do for you?",
    question_only="Nothing is changed by asking. If you want it done, tell me, for example: {example}. "
    "A colleague then decides on it first.",
    sorry="I'm sorry about the trouble. ",
    trouble="I'm sorry, that should not have happened. I can't settle this myself; a human colleague can.",
    unknown="I'm sorry, I don't know that. A human colleague may.",
    hand_over="Shall I hand you over to a human colleague?",
    by_email="No problem. What is your e-mail address?",
    goodbye="Goodbye, and have a nice day!",
    robot="I am an automated assistant, not a human. If you would like to talk to a person, just say so.",
    english="I'm sorry, I can only read English. Please write to me in English, or ask for a human.",
)
FORMAL = Phrases(
    opening="Certainly. ",
    rejected="I regret to inform you that a colleague declined this request ({what}); nothing was changed.",
    expired="I regret to inform you that this request ({what}) was not approved in time and has expired.",
    again="Should you still require it, please ask once more and a new request will be made.",
    thanks="It was a pleasure to assist you. May I be of further service?",
    unclear="I regret that I am unable to help with that.",
    wish="How may I assist you {about}?",
    which="May I ask which {label} you are referring to? Please state its number.",
    missing="May I ask: {question}",
    withdrawn="Your request ({what}) has been withdrawn; nothing was changed.",
    left="Very well, it will be left as it is. How else may I assist you?",
    question_only="Nothing is changed by asking. Should you wish it to be done, please say so, for example: "
    "{example}. A colleague will then decide on it first.",
    sorry="I apologise for the inconvenience. ",
    trouble="I apologise; that should not have happened. I am unable to settle this myself, but a human "
    "colleague can.",
    unknown="I regret that I do not know that. A human colleague may.",
    hand_over="Shall I hand you over to a human colleague?",
    by_email="Certainly. May I ask for your e-mail address?",
    goodbye="Goodbye, and thank you for contacting us.",
    robot="I am an automated assistant, not a human. Should you wish to speak to a person, please say so.",
    english="I regret that I can only read English. Please write to me in English, or ask for a human.",
)
CASUAL = Phrases(
    opening="Sure thing! ",
    rejected="Ah, no luck: a teammate said no to this ({what}), so nothing was changed.",
    expired="Ah, no luck: nobody got to this in time ({what}), so the request has expired.",
    again="Still want it? Just ask again and I'll put in a new request.",
    thanks="Anytime! Anything else?",
    unclear="Hmm, I can't help with that one.",
    wish="What can I do {about}?",
    which="Which {label} is it? Drop me its number.",
    missing="{question}",
    withdrawn="Done, I've withdrawn your request ({what}). Nothing was changed.",
    left="Got it, I'll leave that as it is. What else can I do?",
    question_only="Asking changes nothing. Want it done? Just say: {example}. A teammate decides first.",
    sorry="Sorry about the hassle! ",
    trouble="Ouch, sorry, that shouldn't have happened. I can't settle this one, but a human teammate can.",
    unknown="Sorry, I don't know that one. A human teammate might.",
    hand_over="Shall I hand you over to a human teammate?",
    by_email="No problem. What's your e-mail address?",
    goodbye="Bye, take care!",
    robot="I'm an automated assistant, not a human. Want a person? Just say so.",
    english="Sorry, I only read English. Write to me in English, or ask for a human.",
)
_BY_WORD = (
    (re.compile(r"\b(formal|courteous|courtly|reserved|professional)\b", re.I), FORMAL),
    (re.compile(r"\b(casual|informal|upbeat|relaxed|playful|cheerful)\b", re.I), CASUAL),
)


def phrases_for(tone: str) -> Phrases:
    """Return the phrases for a tone, by its first word that is known; friendly ones by default."""
    matches = [(match.start(), phrases) for word, phrases in _BY_WORD if (match := word.search(tone))]
    return min(matches, key=lambda match: match[0])[1] if matches else FRIENDLY
