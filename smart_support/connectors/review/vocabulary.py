"""Word lists for classify.py, and functions that split names into words.

A word is part of a name in lower case; a stem is a word in the singular, without trailing digits. The plural
of a verb is a noun (`GET /refunds`), so verbs are compared as words and nouns as stems.
"""

import re
from collections.abc import Iterable
from functools import lru_cache


def _words_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Never nouns: at the start or end of a name they mean an action.
VERBS = _words_of(
    """
    logout logoff signout signoff signin send resend execute trigger verify confirm restart stop
    activate deactivate enable disable approve reject delete remove cancel create add put modify edit
    publish unpublish subscribe unsubscribe accept decline redeem consume invoke submit mark restore
    rotate revoke regenerate generate notify refresh purge destroy erase terminate retry enqueue
    dispatch assign unassign attach detach associate disassociate register unregister deregister
    allocate deallocate authorize authenticate grant lock unlock join move rename replace merge save
    upload install uninstall suspend resume reactivate pay buy finalize complete apply reboot
    provision deprovision acknowledge escalate reopen unlink exec renew unlike unfollow dislike upvote
    downvote unblock undo redo rollback republish reprocess rebuild recalculate reindex prolong reactivate
    """
)
# Long enough to be told apart in a word that begins with one.
_JOINED_VERBS = tuple(verb for verb in VERBS if len(verb) > 5)
# Verbs that are as often nouns or states: `GET /imports/{id}/archive` may read an archive. At the start of
# the name of a GET they mean an action (`GET /jobs/{id}/run`), unless its words say that it reads.
NOUN_VERBS = _words_of(
    """
    login run open close start update set reset clear sync import archive invite charge refund transfer
    process callback change copy share push request test like follow favorite favourite bookmark vote rate
    ping call dial email mail fax print order book reserve checkout claim vote watch switch toggle turn
    track lock join move merge save grant mark restore install upload refresh register confirm verify
    authorize authenticate complete apply assign link order release block report flag pause play skip
    export download hold ship return launch deploy build backup debug kill
    """
)
# Those that a GET's name rarely begins with as a verb.
_USUALLY_NOUNS = _words_of(
    """
    track order book rate vote call email mail fax print watch link release report flag export download
    hold ship return build backup play checkout claim switch block launch follow favorite favourite
    bookmark reserve deploy pause skip process
    """
)
ACTIONS = VERBS | (NOUN_VERBS - _USUALLY_NOUNS)
# After a noun that is also a verb they mean that the name is a noun: `GET /import-status`, `/test-results`.
NOUN_ENDS = _words_of(
    """
    status statuses state states history log logs result results statistics stats setting settings reason
    reasons option options type types method methods limit limits fee fees rates schema count counts error
    errors page pages list lists detail details info information summary metadata config configuration
    events event item items eligibility policy policies id ids date dates name names url urls uri
    """
)
# They begin the sentence of a GET that reads.
READING = _words_of(
    """
    get gets list lists return returns retrieve retrieves fetch fetches read reads show shows view views
    find finds search searches query queries describe describes check checks look looks download downloads
    receive receives display displays obtain obtains provide provides count counts enumerate enumerates see
    gives browse whether information details lookup
    """
)
EXPORTS = _words_of("export exports exporting")
EMAIL = _words_of("email emails mail mailing mailer emailed")
SEARCHES = _words_of("search lookup query moderations")
READS = SEARCHES | _words_of(
    """
    list get estimate preview find fetch read check describe count show view retrieve calculate quote
    validate is has exists
    """
)
# At the start of an operationId they mean that a noun follows.
READ_VERBS = (READS - _words_of("validate quote calculate moderations")) | _words_of("download browse head")
# A POST with one of these is never a read.
CHANGES = _words_of(
    """
    create update add insert upsert write save edit modify patch put replace delete remove index
    token session link key secret job webhook payment message graphql simulate convert skip
    email mail sms password otp login batch bulk export upload reserve share push renew exec vote
    """
)
# Words for many at once. They prove nothing beside a word for reading: `POST /contacts/batch/read`.
MANY = _words_of("batch bulk")
DESTRUCTIVE = _words_of(
    """
    delete deletion remove removal purge terminate termination close closure destroy drop erase
    erasure wipe truncate revoke cancel cancellation deactivate disable archive void expire
    unsubscribe detach disassociate uninstall deprovision unregister deregister suspend ban clear reset
    """
)
MONEY = _words_of(
    """
    refund payment pay payout charge chargeback transfer invoice credit debit balance billing bill
    coupon wallet withdrawal withdraw deposit capture settlement subscription purchase checkout fee
    money giftcard buy voucher dispute loan
    """
)
MESSAGES = _words_of(
    """
    email mail mailing sms mms message messaging notify notification invite invitation webhook push
    broadcast campaign send resend whatsapp fax newsletter tweet chat reply
    """
)
CREDENTIALS = _words_of(
    """
    token secret password passwd passphrase passcode passkey key apikey credential oauth session
    login signin otp totp mfa 2fa pin jwt cvv cvc authenticate
    """
)
DELETES = _words_of("delete remove purge erase wipe clear drop destroy truncate")
BULK = _words_of("batch bulk all mass many multiple everything truncate")
# Path segments that name no resource.
GENERIC_SEGMENTS = _words_of("admin api apis rest public service services rpc index")

_MAX_NAMES = 10_000  # that are kept; more than in the largest documents
_LONGEST_NAME = 100
_FORMATS = _words_of("json xml csv pdf html txt yaml yml php asp aspx cgi do jsp action ashx")
_VERSION = re.compile(r"v?\d+([._-]?\d+)*([._-]?(alpha|beta|rc|preview)\d*)?|latest")
_BOUNDARY = re.compile(r"[\W_]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_INFLECTED = re.compile(r"[lt]?(d|rs?|e?s|ed|ees?|ers?|ing|ions?|ations?|able|ance|ments?|ly|ness)")
_CUSTOMER = re.compile(
    r"((customer|cust|consumer|user|account|member|patient|guest|subscriber|contact|shopper|buyer|payer|"
    r"passenger|person|cardholder|account_?holder)_?(ids?|no|num|number|uuid|guid|key|ref|code|emails?|"
    r"e_mail|phone)?)|user_?name|(e_?)?mails?|(e_?)?mail_?address(es)?|msisdn|phone(_?(no|number))?"
)
# Affixes of argument names that come from headers, filters or name clashes.
_AFFIXES = re.compile(r"^(x|filter|body)_|_(path|query|header|cookie|eq)$")


def words(text: str) -> tuple[str, ...]:
    """Splits a name into lower-case words: `findUserOrders` and `find-user-orders` give the same."""
    return _words_of_name(text) if len(text) <= _LONGEST_NAME else _split(text)


def stems(names: Iterable[str]) -> frozenset[str]:
    """The words of names in the singular, without trailing digits: `oauth2/tokens` gives oauth and token."""
    return frozenset().union(*map(_stems, names))


@lru_cache(maxsize=1_000)
def segments(path: str) -> tuple[str, ...]:
    """The static parts of a path without versions and file formats, also split at `:`, `.` and in the query.

    `/v1/jobs/{id}:cancel` gives jobs and cancel (Google's AIP-136), `/chat.postMessage` chat and postMessage.
    """
    parts = re.split(r"[/?#&=:.()]+", _PLACEHOLDER.sub("", path))
    return tuple(part for part in parts if words(part) and not _is_version_or_format(part.lower()))


def ends_with_placeholder(path: str) -> bool:
    """Whether a path identifies one item: `/pets/{id}`, `/pets/{id}.json`, `/pets({id})`."""
    return bool(re.search(r"\}\)?(\.[a-z]+)?/?$", path))


@lru_cache(maxsize=_MAX_NAMES)
def is_action(word: str) -> bool:
    """Whether a first word means an action: a verb, or a verb joined to its object (`deleteuser`)."""
    if word in ACTIONS:
        return True
    if not word.startswith(_JOINED_VERBS):
        return False
    return any(
        word.startswith(verb) and not _INFLECTED.fullmatch(word[len(verb) :]) for verb in _JOINED_VERBS
    )


@lru_cache(maxsize=_MAX_NAMES)
def identifies_customer(argument: str) -> bool:
    """Whether an argument identifies the customer.

    `owner` and `client_id` don't: an owner is often a colleague, and a client an application.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+", argument):
        return False
    return bool(_CUSTOMER.fullmatch(_AFFIXES.sub("", "_".join(words(argument.replace("IDs", "Ids"))))))


def _split(text: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _BOUNDARY.split(text) if word)


# The names of one document repeat: its resources are in many paths, and its arguments in many operations.
@lru_cache(maxsize=_MAX_NAMES)
def _words_of_name(name: str) -> tuple[str, ...]:
    return _split(name)


@lru_cache(maxsize=_MAX_NAMES)
def _stems(name: str) -> frozenset[str]:
    return frozenset(map(_stem, words(name)))


def _is_version_or_format(part: str) -> bool:
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
