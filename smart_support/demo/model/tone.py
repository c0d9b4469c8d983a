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
)
_BY_WORD = (
    (re.compile(r"\b(formal|courteous|courtly|reserved|professional)\b", re.I), FORMAL),
    (re.compile(r"\b(casual|informal|upbeat|relaxed|playful|cheerful)\b", re.I), CASUAL),
)


def phrases_for(tone: str) -> Phrases:
    """Return the phrases for a tone, by its first word that is known; friendly ones by default."""
    matches = [(match.start(), phrases) for word, phrases in _BY_WORD if (match := word.search(tone))]
    return min(matches, key=lambda match: match[0])[1] if matches else FRIENDLY
