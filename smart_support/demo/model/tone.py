"""How the demo model speaks: a set of phrases for a kind of tone, chosen by the tone's own words."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Manner:
    """Phrases of one tone.

    Attributes:
        opening: before what a tool found or did; empty for none.
        rejected, expired: an action that did not come to be; `{what}` is its name.
        again: how to ask for it once more.
        thanks: the answer to a thank you.
        unclear: nothing was understood.
        wish: what is wanted; `{about}` is what the customer spoke of.
        which: which one is meant, `{label}`; `missing`: a value that `{tool}` needs.
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


FRIENDLY = Manner(
    opening="",
    rejected="I'm sorry: a colleague has rejected this ({what}), so nothing was changed.",
    expired="I'm sorry: nobody could decide on this in time ({what}), so the request has expired.",
    again="If you still want it, ask me again and I will make a new request.",
    thanks="You're welcome. Is there anything else I can do for you?",
    unclear="I found nothing in that which I can do; I go by simple rules and English words.",
    wish="What would you like me to do {about}?",
    which="Which {label} do you mean? Please tell me its number.",
    missing="{tool}: what should the {label} be?",
)
FORMAL = Manner(
    opening="Certainly. ",
    rejected="I regret to inform you that a colleague has declined this ({what}); nothing was changed.",
    expired="I regret to inform you that this ({what}) was not decided in time; the request has expired.",
    again="Should you still require it, please ask once more and a new request will be made.",
    thanks="It was a pleasure to assist you. May I be of further service?",
    unclear="I regret that I could not relate this to any matter I may assist with; I go by simple rules.",
    wish="How may I assist you {about}?",
    which="May I ask which {label} you are referring to? Please state its number.",
    missing="{tool}: may I ask what the {label} should be?",
)
CASUAL = Manner(
    opening="Sure thing! ",
    rejected="Ah, no luck: a teammate said no to this ({what}), so nothing was changed.",
    expired="Ah, no luck: nobody got to this in time ({what}), so the request has expired.",
    again="Still want it? Just ask again and I'll put in a new request.",
    thanks="Anytime! Anything else?",
    unclear="Hmm, I can't do anything with that one - I run on simple rules and plain English.",
    wish="What can I do {about}?",
    which="Which {label} is it? Drop me its number.",
    missing="{tool}: what should the {label} be?",
)
_BY_WORD = (
    (re.compile(r"\b(formal|courteous|courtly|reserved|professional)\b", re.I), FORMAL),
    (re.compile(r"\b(casual|informal|upbeat|relaxed|playful|cheerful)\b", re.I), CASUAL),
)


def manner_of(tone: str) -> Manner:
    """The phrases for a tone, by the first word in it that is known; friendly ones where none is."""
    found = [(match.start(), manner) for word, manner in _BY_WORD if (match := word.search(tone))]
    return min(found, key=lambda one: one[0])[1] if found else FRIENDLY
