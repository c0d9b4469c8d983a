"""The words that the rules know: their synonyms, their endings, and how they are misspelt. English only."""

import re
from functools import lru_cache

from rapidfuzz.distance import OSA


def word_set(text: str) -> frozenset[str]:
    """The words of a text, which are separated by white space."""
    return frozenset(text.split())


# Synonyms: each key stands for all words of its value.
_SAME = {
    "cancel": "cancel cancels cancelled canceled cancelling canceling cancellation abort void revoke undo "
    "terminate discontinue",
    "refund": "refund refunds refunded refunding reimburse reimbursement repay repaid moneyback",
    "status": "status state progress happening check",
    "track": "track tracking where parcel parcels package packages shipment arrive arrives arriving "
    "arrival "
    "arrived come comes coming shipped ships delivered tracked located location whereabouts delivery "
    "courier carrier here",
    "discount": "discount discounts discounted off reduction reduce cheaper percent",
    "coupon": "coupon coupons voucher vouchers promo promotion",
    "address": "address addresses destination street",
    "update": "update updates change changes changed changing modify edit correct redirect",
    "human": "human humans person "
    "representative manager supervisor colleague "
    "complaint complain escalate escalation operator staff adviser advisor teammate consultant rep boss "
    "agent agents",
    "find": "find search list lists show lookup look browse history",
    "order": "order orders ordered purchase purchases purchased buy bought",
    "next": "next later future upcoming",
    "create": "create creates make makes generate generates issue new add open",
    "delete": "delete deletes remove removes erase close",
    "invoice": "invoice invoices bill bills receipt receipts",
    "subscription": "subscription subscriptions",
    "plan": "plan plans",
    "customer": "customer customers client clients account accounts",
    "pay": "pay pays paid payment charge charged owe owed owing outstanding unpaid",
    "money": "money cash",
    "hours": "hours opening closing",
    "send": "send sends sent mail email",
    "upgrade": "upgrade switch",
    # What no tool may do is not taken for something else.
    "lower": "lower decrease downgrade smaller fewer",
    "raise": "raise increase",
    "transfer": "transfer transfers transferred transferring wire move moves moved moving",
    "transaction": "transaction transactions spend spent spending booking bookings movements",
    "block": "block blocks blocked blocking lock freeze stole stolen deactivate disable",
    "cost": "cost costs price prices pricing",
}
CANONICAL = {word: base for base, group in _SAME.items() for word in group.split()}
STOP = frozenset(
    word
    for line in (
        "a an the my your his her our their its it this that these those i you he she we they me him them to",
        "of for in on at by with from and or but if is are was were be been am do does did can could would",
        "should will may might please just also then so as up out about into what when which how who "
        "have has had",
        "get got give gives want wants need needs like one ones thing hello hi hey thanks thank there here",
        "not no yes any some all what's i'd i'm it's because since after before only number current latest",
        "given whole help",
    )
    for word in line.split()
)

# Words of their own, one letter from a word that the rules know.
_OTHERS = word_set(
    "balls bells black cancer casts chance chances charges chose clone closer crate crates ease late "
    "latter "
    "layer manage managed manages older parson pearson plane planes plant plants plays pride prime prince "
    "prize refused relay remote repair replay reply shopped skipped spends stage stake stale stare stated "
    "statue stiff stuff superior trick truck"
)
_CORRECTED_CHARS = 5
_ENDINGS = ("ings", "ing", "ies", "es", "s", "ed")


@lru_cache(maxsize=4096)
def base(word: str) -> str:
    """The canonical synonym of a word in small letters; the word without its ending where it has none."""
    if word in CANONICAL:
        return CANONICAL[word]
    stem = next((stem for ending in _ENDINGS if (stem := _without(word, ending))), word)
    return CANONICAL.get(stem) or _corrected(word) or stem


def _without(word: str, ending: str) -> str:
    if not word.endswith(ending) or len(word) - len(ending) < 4:
        return ""
    return word[: -len(ending)] + ("y" if ending == "ies" else "")


def _corrected(word: str) -> str | None:
    """The canonical synonym of the word that was meant, where one or two letters are wrong or swapped."""
    if len(word) < _CORRECTED_CHARS - 1 or word in _OTHERS:
        return None
    for known, canonical in CANONICAL.items():
        if len(known) >= _CORRECTED_CHARS and known[0] == word[0]:
            most = 1 if len(known) < 2 * _CORRECTED_CHARS else 2
            if OSA.distance(word, known, score_cutoff=most) <= most:
                return canonical
    return None


def is_misspelt(word: str, text: str) -> bool:
    """Whether a text in small letters has a word with one letter wrong, too many or too few."""
    return len(word) >= _CORRECTED_CHARS and any(
        one[0] == word[0] and OSA.distance(one, word, score_cutoff=1) <= 1
        for one in re.findall(r"[a-z]+", text)
    )
