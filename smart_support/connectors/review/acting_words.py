"""Finds the words in an operation's summary or description that say that it acts: `Sends a reminder`."""

import re
from collections.abc import Iterable

__all__ = ["acting_words", "without_markup"]

_LONGEST = 600  # what an operation does stands at the beginning


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Verbs that are hardly ever nouns, without endings.
_VERBS = _words(
    """
    send resend delete remove cancel activate reactivate deactivate execute trigger create add publish
    unpublish renew revoke unsubscribe subscribe terminate disable restart reboot approve reject notify
    regenerate enqueue dispatch purge erase destroy provision submit redeem consume modify edit
    assign unassign acknowledge escalate resume suspend replace rename upload logout log.out sign.out
    logs.out signs.out retry enroll unenroll upvote downvote unfollow invoke
    """
)
# Verbs that are nouns or states as well: only before an object.
_NOUN_VERBS = _words(
    """
    share push request test like follow start stop run update set reset clear sync synchronize import archive
    invite charge refund transfer process change copy lock unlock join move merge save grant mark restore
    install refresh register confirm complete apply reserve book order claim pause skip e-?mail mail call ping
    kill open close switch turn toggle favorite favourite bookmark vote block unblock report launch deploy
    verify authorize enable generate unlike
    """
)
# Those that follow a subject as a verb: `This endpoint starts a job`.
_AFTER_SUBJECT = _words(
    """
    share push start stop update reset clear sync synchronize archive invite charge refund transfer lock
    unlock move merge restore install refresh register confirm reserve kill close toggle block unblock launch
    deploy
    """
)
_OBJECT = (
    r"(?:an?|the|this|that|your|my|all|any|one|new|another|their|its|our|each|every|to|into|off|on|out|up|"
    r"down|yourself|us|for an?|for the|users?|customers?|people|e-?mails?|messages?|sms)"
)
_SUBJECT = (
    r"(?:this|the) (?:api )?(?:api|call|endpoint|method|operation|request|action|resource|url|link|service|"
    r"function|route)"
)
_ADVERB = (
    r"(?:(?:will|also|then|immediately|automatically|asynchronously|just|simply|can be used to|is used to|"
    r"lets you|allows you to|allows to|is to) )*"
)
_MESSAGE = (
    r"(?:e-?mails?|sms|text messages?|messages?|notifications?|invitations?|reminders?|newsletters?|"
    r"one-time codes?)"
)


def _either(verbs: Iterable[str]) -> str:
    return "(?:" + "|".join(form for verb in verbs for form in _forms(verb)) + ")"


def _forms(verb: str) -> list[str]:
    third = f"{verb[:-1]}ies" if re.search("[^aeiou]y$", verb) else f"{verb}e?s"
    return [verb, third]


# `Request the list of orders` and `Send a name to receive its meaning` read.
_NOT_READING = (
    r"(?! (?:the |a |an |all |available |current )?(?:list|details?|information|info|status|version|data)\b)"
)
_NOT_FOR_ANSWER = r"(?![^.]* to (?:receive|get|retrieve|obtain|see|find)\b)"
_NOT_A_NOUN = (
    r"(?! (?:by|date|dates|status|settings?|history|reasons?|options?|only|count|limits?|reports?)\b|:)"
)
_BEGINNING = [
    # `Send the invoice`, `Deletes a session`, `Share a file`.
    rf"({_either(_VERBS)})\b{_NOT_A_NOUN}{_NOT_FOR_ANSWER}",
    rf"({_either(_NOUN_VERBS)})\b{_NOT_READING} {_OBJECT}\b{_NOT_READING}{_NOT_FOR_ANSWER}",
]
_NOT_AN_ANSWER = r"(?!back\b|you\b|every\b|when\b|in\b|with\b|an? \d|an? error|(?:an?|the) response|data\b)"
# `This endpoint activates a card`, at the beginning of a sentence.
_AFTER_A_SUBJECT = (
    rf"(?:^|[.;:!] ){_SUBJECT} {_ADVERB}({_either(_VERBS + _AFTER_SUBJECT)}) {_NOT_AN_ANSWER}\w"
)
_SENDING = [
    # `An e-mail is sent to the customer`, `and sends a message`.
    rf"\b{_MESSAGE} (?:will be|is|gets) (?:then |also |automatically |immediately )?(sent|dispatched)\b",
    r"(?:^|[.;,] |\b(?:and|then|also|this|it) (?:will |also |then )*)((?:re-?)?sends?) [^.]{0,40}?"
    rf"\b{_MESSAGE}\b{_NOT_FOR_ANSWER}",
]
_BEGINS = re.compile("|".join(_BEGINNING))
_CERTAINLY_BEGINS = re.compile(_BEGINNING[0])
# Every text that matches `_SENDING` contains one of these. Most texts contain none, and are read faster.
_SENDING_VERBS = ("send", "sent", "dispatched")
_SAYS_LATER = re.compile(_AFTER_A_SUBJECT)
_SAYS_LATER_OR_SENDS = re.compile("|".join([_AFTER_A_SUBJECT, *_SENDING]))
_MARKUP = re.compile(r"<[^>]{0,300}>|&#?\w{1,8};|[*_`#]+")


def acting_words(text: str, *, reads: bool = False) -> str:
    """The words that say that an operation acts, or an empty string.

    Args:
        reads: something else says that it reads, so a word that may be a noun is one.
    """
    if not text:
        return ""
    said = " ".join(without_markup(text).lower().split()).removeprefix("description: ")[:_LONGEST]
    later = _SAYS_LATER_OR_SENDS if any(verb in said for verb in _SENDING_VERBS) else _SAYS_LATER
    match = (_CERTAINLY_BEGINS if reads else _BEGINS).match(said) or later.search(said)
    return next((part for part in match.groups() if part), "") if match else ""


def without_markup(text: str) -> str:
    """The beginning of a text without tags and the marks of Markdown."""
    return _MARKUP.sub(" ", text[: 4 * _LONGEST])
