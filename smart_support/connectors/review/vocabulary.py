"""The words by which an operation is judged, and how they are found. What follows of them is in classify.py.

A word is as it stands in a name, in lower case; a stem is a word without its plural and its digits. The
plural of a verb is a thing (`GET /refunds`), so what acts is compared as words, what is acted on as stems.
"""

import re
from collections.abc import Iterable


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Never a noun: they act wherever a name leads or ends with them.
VERBS = _listed(
    """
    logout logoff signout signoff signin send resend execute trigger verify confirm restart stop
    activate deactivate enable disable approve reject delete remove cancel create add put modify edit
    publish unpublish subscribe unsubscribe accept decline redeem consume invoke submit mark restore
    rotate revoke regenerate generate notify refresh purge destroy erase terminate retry enqueue
    dispatch assign unassign attach detach associate disassociate register unregister deregister
    allocate deallocate authorize authenticate grant lock unlock join move rename replace merge save
    upload install uninstall suspend resume reactivate pay buy finalize complete apply reboot
    provision deprovision acknowledge escalate reopen unlink
    """
)
# Leading a GET, each of them does something after all (`GET /invoices/{id}/send`), nouns or not.
ACTIONS = VERBS | _listed(
    """
    login run open close start update set reset clear sync import archive invite charge refund
    transfer process callback change copy
    """
)
EXPORTS = _listed("export exports exporting")
BY_MAIL = _listed("email emails mail mailing mailer emailed")
SEARCHES = _listed("search lookup")
READS = SEARCHES | _listed("list get estimate preview")
# Leading an operationId, each of them says that what follows is a thing and not an act.
ASKS = READS | _listed(
    "find fetch read query show view describe retrieve count check has is download browse head exists"
)
# With one of these beside it, a POST is no read whatever else it is called.
CHANGES = _listed(
    """
    create update add insert upsert write save edit modify patch put replace delete remove index
    token session link key secret job webhook payment message graphql simulate convert skip
    email mail sms password otp login batch bulk export upload
    """
)
DESTRUCTIVE = _listed(
    """
    delete deletion remove removal purge terminate termination close closure destroy drop erase
    erasure wipe truncate revoke cancel cancellation deactivate disable archive void expire
    unsubscribe detach disassociate uninstall deprovision unregister deregister suspend ban clear reset
    """
)
MONEY = _listed(
    """
    refund payment pay payout charge chargeback transfer invoice credit debit balance billing bill
    coupon wallet withdrawal withdraw deposit capture settlement subscription purchase checkout fee
    money giftcard buy voucher dispute loan
    """
)
MESSAGES = _listed(
    """
    email mail mailing sms mms message messaging notify notification invite invitation webhook push
    broadcast campaign send resend whatsapp fax newsletter tweet chat reply
    """
)
CREDENTIALS = _listed(
    """
    token secret password passwd passphrase passcode passkey key apikey credential oauth session
    login signin otp totp mfa 2fa pin jwt cvv cvc authenticate
    """
)
DELETES = _listed("delete remove purge erase wipe clear drop destroy truncate")
BULK = _listed("batch bulk all mass many multiple everything truncate")
# Segments that say nothing about what stands below them.
NO_GROUP = _listed("admin api apis rest public service services rpc index")

_FORMATS = _listed("json xml csv pdf html txt yaml yml php asp aspx cgi do jsp action ashx")
_VERSION = re.compile(r"v?\d+([._-]?\d+)*([._-]?(alpha|beta|rc|preview)\d*)?|latest")
_BOUNDARY = re.compile(r"[\W_]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_INFLECTED = re.compile(r"[lt]?(d|rs?|e?s|ed|ees?|ers?|ing|ions?|ations?|able|ance|ments?|ly|ness)")
_CUSTOMER = re.compile(
    r"((customer|cust|consumer|user|account|member|patient|guest|subscriber|contact|shopper|buyer|payer|"
    r"passenger|person|cardholder|account_?holder)_?(ids?|no|num|number|uuid|guid|key|ref|code|emails?|"
    r"e_mail|phone)?)|user_?name|(e_?)?mails?|(e_?)?mail_?address(es)?|msisdn|phone(_?(no|number))?"
)
# What an argument's name gains where it comes from a header, a filter or a clash of names.
_AROUND = re.compile(r"^(x|filter|body)_|_(path|query|header|cookie|eq)$")


def words(text: str) -> list[str]:
    """The words of a name, in lower case: `findUserOrders` and `find-user-orders` alike."""
    return [word.lower() for word in _BOUNDARY.split(text) if word]


def stems(names: Iterable[str]) -> frozenset[str]:
    """The words of names, singular, without digits at their end: `oauth2/tokens` is oauth and token."""
    return frozenset(_stem(word) for name in names for word in words(name))


def segments(path: str) -> list[str]:
    """The static parts of a path, also those that a `:`, a `.` or a query sets apart, without versions.

    `/v1/jobs/{id}:cancel` is jobs and cancel (Google's AIP-136), `/chat.postMessage` is chat and postMessage.
    """
    parts = re.split(r"[/?#&=:.()]+", _PLACEHOLDER.sub("", path))
    return [part for part in parts if words(part) and not _says_nothing(part.lower())]


def ends_with_placeholder(path: str) -> bool:
    """Whether a path names one thing: `/pets/{id}`, `/pets/{id}.json`, `/pets({id})`."""
    return bool(re.search(r"\}\)?(\.[a-z]+)?/?$", path))


def acts(word: str) -> bool:
    """Whether a leading word acts: a verb, or one that runs into its object (`deleteuser`, not `deleted`)."""
    if word in ACTIONS:
        return True
    return any(
        len(verb) > 5 and word.startswith(verb) and not _INFLECTED.fullmatch(word[len(verb) :])
        for verb in VERBS
    )


def names_customer(argument: str) -> bool:
    """Whether an argument says who the customer is.

    `owner` and `client_id` do not: an owner is as often a colleague, a client an application.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+", argument):
        return False
    return bool(_CUSTOMER.fullmatch(_AROUND.sub("", "_".join(words(argument.replace("IDs", "Ids"))))))


def _says_nothing(part: str) -> bool:
    return part in _FORMATS or bool(_VERSION.fullmatch(part))


def _stem(word: str) -> str:
    word = word.rstrip("0123456789") or word
    if len(word) < 4 or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    if word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    return word.removesuffix("s")
