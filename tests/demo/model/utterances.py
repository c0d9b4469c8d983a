"""What customers say to the three demo businesses, and what has to happen; written before the rules.

The expectations are not tuned: one half of the cases was looked at while the rules were changed, the other
half was only scored (`half`). `python -m tests.demo.model.utterances` prints both scores.
"""

import re
import zlib
from dataclasses import dataclass
from typing import Any

SHOP, BESIDE, SAAS, BANK = "e-commerce", "e-commerce beside an imported API", "saas", "fintech"

HUMAN = r"human|colleague|teammate|adviser|person\b"
WHICH_ORDER = r"(order('s)? number|number of|which order|e-?mail)"
SORRY = r"sorry|apolog|regret"
ENGLISH = r"English"
ASKS = r"\?"
# Words of the system and its operators, which the model must never say.
INTERNALS = r"\b\w+_\w+\b|\badmins?\b|\bAPI\b|\btab\b|schema|argument|parameter|\bJSON\b|\bNone\b|\btools?\b"


@dataclass(frozen=True, eq=False)
class Case:
    """A customer's message and what must come of it.

    Attributes:
        said: the message. after: what the customer said before it in the conversation.
        calls: what must be called or proposed, as (tool, arguments); `a|b` allows either tool. Of the
            arguments given here each must be the same; other arguments may stand beside them.
        says: a pattern that the reply must match. silent_on: one that it must not match.
        withdrawn: the approval that waits must be withdrawn by this message.
        where: the business.

    A write that `calls` does not name must not be proposed.
    """

    said: str
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    says: str = ""
    silent_on: str = ""
    after: tuple[str, ...] = ()
    where: str = SHOP
    withdrawn: bool = False

    @property
    def half(self) -> str:
        """`tuned` or `kept`, as a hash of the words decides."""
        return "kept" if zlib.crc32(" / ".join((*self.after, self.said)).encode()) % 2 else "tuned"


def does(said: str, tool: str, /, *after: str, where: str = SHOP, says: str = "", **args: Any) -> Case:
    return Case(said, ((tool, args),), says=says, after=after, where=where)


def says(said: str, pattern: str, /, *after: str, where: str = SHOP, silent_on: str = "") -> Case:
    return Case(said, says=pattern, after=after, where=where, silent_on=silent_on)


STATUS = "get_order_status|get_tracking_info"
SUB = "get_subscription"
CANCEL_1042 = "Please cancel order 1042."

ORDERS_READ = (
    does("Where's my order? It's number 1043", STATUS, order_id="1043"),
    does("Any news on 1027?", STATUS, order_id="1027"),
    does("order 1030?", STATUS, order_id="1030"),
    does("1056", STATUS, order_id="1056"),
    does("#1054 please", STATUS, order_id="1054"),
    does("hi there, just checking on order no. 1023", STATUS, order_id="1023"),
    does("I'd like to know when order 1025 gets here", STATUS, order_id="1025"),
    does("Has 1041 left the warehouse yet?", STATUS, order_id="1041"),
    does("wher is oder 1055", STATUS, order_id="1055"),
    does("whats teh staus of 1052??", STATUS, order_id="1052"),
    does("trakcing for 1043 pls", "get_tracking_info", order_id="1043"),
    does("My wife ordered a lamp, order 1011. Do you know if it ships soon?", STATUS, order_id="1011"),
    does("Still waiting for 1003. How much longer?", STATUS, order_id="1003"),
    does("Will 1043 make it by Saturday?", STATUS, order_id="1043"),
    does("Did order 1021 get delivered?", STATUS, order_id="1021"),
    does("WHERE IS MY PARCEL 1030!!!", STATUS, order_id="1030"),
    does("Can you look up 1044 for me", STATUS, order_id="1044"),
    does("Could you tell me what's happening with order #1020?", STATUS, order_id="1020"),
    does("what did i pay for 1034", "get_order_status", order_id="1034"),
    does("Which courier has 1025?", "get_tracking_info", order_id="1025"),
    does("1043", STATUS, "Where is my parcel?", order_id="1043"),
    does("it's 1027 I think", STATUS, "what's the status of my order", order_id="1027"),
    does("And 1030?", STATUS, "Where is order 1043?", order_id="1030"),
    does("no, I meant 1055", STATUS, "Where is order 1056?", order_id="1055"),
    does("Sorry, typo: 1023", STATUS, "Status of order 1032", order_id="1023"),
    does(
        "You can reach me at ravi.patel@example.org. What have I ordered?",
        "find_orders",
        email="ravi.patel@example.org",
    ),
    does(
        "grace.mensah@example.com - show my purchases please", "find_orders", email="grace.mensah@example.com"
    ),
    does(
        "I lost my order number, my mail is luca.moretti@example.com",
        "find_orders",
        email="luca.moretti@example.com",
    ),
    does("jonas.weber@example.com", "find_orders", "where is my order", email="jonas.weber@example.com"),
    does("List everything Aisha.Rahman@example.org bought", "find_orders", email="aisha.rahman@example.org"),
    says("where's my stuff??", WHICH_ORDER),
    says("I'm waiting for a package", WHICH_ORDER),
    says("When does it arrive?", WHICH_ORDER),
    says("i want to cancel my order", WHICH_ORDER),
    says("I'd like my money back", WHICH_ORDER),
    says("I don't have the order number", r"e-?mail|human|colleague", "Where is my order?"),
)

SHOP_WRITES = (
    does("cancel 1041", "cancel_order", order_id="1041"),
    does("Please could you call off order 1059, I found it cheaper", "cancel_order", order_id="1059"),
    does("I changed my mind about order 1042, please cancel it", "cancel_order", order_id="1042"),
    does("I don't need order 1036 any more, cancel it please", "cancel_order", order_id="1036"),
    does("cancle order 1039 plz", "cancel_order", order_id="1039"),
    does("pls cancell 1005", "cancel_order", order_id="1005"),
    does("Can you cancel 1004 for me?", "cancel_order", order_id="1004"),
    does("I want to cancel order 1006.", "cancel_order", order_id="1006"),
    does("This takes far too long, cancel 1041 now!", "cancel_order", order_id="1041"),
    does("1041", "cancel_order", "I need to cancel an order", order_id="1041"),
    does("Cancel 1042, not 1041", "cancel_order", order_id="1042"),
    does("Don't cancel 1041, cancel 1042 instead", "cancel_order", order_id="1042"),
    does("Cancel order 1041 - sorry, I mean 1059", "cancel_order", order_id="1059"),
    does("Yes, cancel it please", "cancel_order", "What's the status of order 1059?", order_id="1059"),
    does("then cancel it", "cancel_order", "Has order 1041 been shipped?", order_id="1041"),
    does("Refund order 1034 please", "refund_order", order_id="1034"),
    does("Can you refund 15 of order 1010?", "refund_order", order_id="1010", amount_cents=1500),
    does(
        "please give me 12.50 back on 1012, the box was dented",
        "refund_order",
        order_id="1012",
        amount_cents=1250,
    ),
    does("refund €30 for 1015", "refund_order", order_id="1015", amount_cents=3000),
    does("I would like 20 euros back for order 1016", "refund_order", order_id="1016", amount_cents=2000),
    does("Refund 1018, amount 9,99", "refund_order", order_id="1018", amount_cents=999),
    does("refnd 10 pounds of order 1044", "refund_order", order_id="1044", amount_cents=1000),
    does("Send me my money back for 1021", "refund_order", order_id="1021"),
    Case(
        "Make it 25 instead",
        (("refund_order", {"order_id": "1010", "amount_cents": 2500}),),
        after=("Refund 20 of order 1010",),
        withdrawn=True,
    ),
    does(
        "Please send order 1042 to 18 Mill Lane, York YO1 7HH instead",
        "update_shipping_address",
        order_id="1042",
        new_address="18 Mill Lane, York YO1 7HH",
    ),
    does(
        "Can you change the address of 1041 to 4 Harbour Street, Dublin?",
        "update_shipping_address",
        order_id="1041",
        new_address="4 Harbour Street, Dublin",
    ),
    does(
        "I moved! 1059 should go to 77 Station Road, Leeds LS2 9AB",
        "update_shipping_address",
        order_id="1059",
        new_address="77 Station Road, Leeds LS2 9AB",
    ),
    does(
        "chnage the adress of order 1039 to Hauptstr. 5, 10115 Berlin",
        "update_shipping_address",
        order_id="1039",
        new_address="Hauptstr. 5, 10115 Berlin",
    ),
    does(
        "9 Park View, Bath BA1 2QR",
        "update_shipping_address",
        "Please change the shipping address of 1042",
        order_id="1042",
        new_address="9 Park View, Bath BA1 2QR",
    ),
    does(
        "Cancel 1041. On second thought leave it, but ship it to 2 High Street, Oxford OX1 4AA",
        "update_shipping_address",
        order_id="1041",
        new_address="2 High Street, Oxford OX1 4AA",
    ),
    does("Give me 10% off order 1042", "apply_discount", order_id="1042", percent=10),
    does("15 percent discount on 1041 please", "apply_discount", order_id="1041", percent=15),
    does("I was promised 20 % off 1059", "apply_discount", order_id="1059", percent=20),
    does("I'd like a coupon for 15% off my next purchase", "generate_coupon", percent=15),
    does("Could I have a 10% voucher for later?", "generate_coupon", percent=10),
    does("5%", "generate_coupon", "can I have a coupon for my next order?", percent=5),
    does(
        "make a 20% coupon for maya.chen@example.com valid 60 days",
        "generate_coupon",
        percent=20,
        email="maya.chen@example.com",
        valid_days=60,
    ),
    does("Where's 1043? and please cancel 1042", "cancel_order", order_id="1042"),
    Case(
        "Tell me where 1043 is and refund 10 of order 1044",
        ((STATUS, {"order_id": "1043"}), ("refund_order", {"order_id": "1044", "amount_cents": 1000})),
    ),
    Case("What's up with 1027 and 1030?", ((STATUS, {"order_id": "1027"}), (STATUS, {"order_id": "1030"}))),
    says("Change the delivery address of 1041", r"address"),
    says("refund please", WHICH_ORDER),
)

TALK = (
    says("Hello!", r"hello|hi\b|hey|welcome"),
    says("good morning", r"hello|hi\b|morning|welcome"),
    says("Thanks a lot, that's all", r"welcome|glad|pleasure|goodbye|nice day"),
    says("cheers mate", r"welcome|glad|pleasure|anytime"),
    says("great, thank you!", r"welcome|glad|pleasure", "Where is order 1043?"),
    says("bye now", r"goodbye|bye|take care|nice day", silent_on=ASKS),
    says("that's all, goodbye", r"goodbye|bye|take care|nice day", "Where is order 1043?", silent_on=ASKS),
    says("Am I talking to a bot?", r"automat|assistant|robot|bot\b|not a (human|person)"),
    says("are you human", r"automat|assistant|robot|bot\b|not a (human|person)"),
    says("What can you do?", r"order"),
    says("help", r"order|help"),
    says("what's the weather like today", r"order|help with|can't|human"),
    says("tell me a joke", r"order|help with|can't|human"),
    says("How long does a refund take to arrive?", r"working days|human|colleague|don't know"),
    says("What's your returns policy?", r"human|colleague|don't know|can't"),
    says("do you ship to Norway?", r"human|colleague|don't know|can't"),
    says("Do you sell garden chairs?", r"human|colleague|don't know|can't"),
    says("asdfgh jkl", r"order|help|sorry|understand"),
    says("???", r"order|help|sorry|understand"),
    says("👍", r"welcome|help|glad|great", "Where is order 1043?"),
    says("ok", r"help|else|welcome|glad", "Where is order 1043?"),
)

COMPLAINTS = (
    says("The courier says it was delivered but there is nothing here. Order 1021", HUMAN),
    says("You charged my card two times for order 1034!", HUMAN),
    says("1010 came with only one chair, I ordered two", HUMAN),
    says("the wrong item was in the box of 1012", HUMAN),
    says("This is the worst service I have ever had", HUMAN),
    says("The vase in 1007 arrived in pieces", rf"{HUMAN}|refund"),
    says("I want to make a complaint", HUMAN),
    says("Let me speak to a manager", HUMAN),
    says("real person please", HUMAN),
    says("can someone call me?", HUMAN),
    does(
        "I've been waiting for three weeks for 1043, this is ridiculous",
        STATUS,
        order_id="1043",
        says=SORRY,
    ),
    does("Unacceptable. Where is 1030?", STATUS, order_id="1030", says=SORRY),
    does("I'm really disappointed, 1025 still isn't here", STATUS, order_id="1025", says=SORRY),
    says("my parcel 1002 got lost in the post", rf"{HUMAN}|{SORRY}"),
)

LANGUAGES = (
    says("Hallo, wo bleibt meine Lieferung?", ENGLISH),
    says("Je voudrais annuler ma commande", ENGLISH),
    says("¿Dónde está mi paquete?", ENGLISH),
    says("Dov'è il mio ordine?", ENGLISH),
    says("Ik wil graag mijn bestelling annuleren", ENGLISH),
    says("Gdzie jest moje zamówienie?", ENGLISH),
    says("我的订单在哪里？", ENGLISH),
    says("أين طلبي؟", ENGLISH),
    says("Где мой заказ?", ENGLISH),
    says("注文をキャンセルしたいです", ENGLISH),
    says("Siparişim nerede?", ENGLISH),
    says("Onde está a minha encomenda?", ENGLISH),
    says("Kann ich bitte mit einem Mitarbeiter sprechen?", rf"{ENGLISH}|{HUMAN}"),
)

BESIDE_AN_API = (
    does("Where is my order 1043?", STATUS, order_id="1043", where=BESIDE),
    does("what's the status of 1027", STATUS, order_id="1027", where=BESIDE),
    does("order 1030?", STATUS, order_id="1030", where=BESIDE),
    does("Cancel order 1042 please", "cancel_order", order_id="1042", where=BESIDE),
    does("Refund 10 of order 1044", "refund_order", order_id="1044", amount_cents=1000, where=BESIDE),
    does(
        "find the orders of maya.chen@example.com", "find_orders", email="maya.chen@example.com", where=BESIDE
    ),
    does("give me a 10% coupon for next time", "generate_coupon", percent=10, where=BESIDE),
    does("show me ticket 12", "get_ticket", ticket_id=12, where=BESIDE),
    does("Please list all tickets", "list_tickets", where=BESIDE),
    does("delete ticket 15", "delete_ticket", ticket_id=15, where=BESIDE),
    does("When is store 7 open?", "get_opening_hours", store_id=7, where=BESIDE),
    does("how many points does member M-204 have", "get_points", member_id="M-204", where=BESIDE),
    does("add 50 points to member M-204", "add_points", member_id="M-204", points=50, where=BESIDE),
    says("thank you", r"welcome|glad|pleasure", where=BESIDE),
    says("where is my parcel", WHICH_ORDER, where=BESIDE),
    says("I want a human", HUMAN, where=BESIDE),
)

SUBSCRIPTIONS = (
    does("Which plan am I on? ACCT-1002", SUB, subscription_id="ACCT-1002", where=SAAS),
    does("SUB-1014?", SUB, subscription_id="SUB-1014", where=SAAS),
    does("when does sub-1001 renew", SUB, subscription_id="SUB-1001", where=SAAS),
    does("what plans do you have", "list_plans", where=SAAS),
    does("How much is the business plan?", "list_plans", where=SAAS),
    does("show me the bills for ACCT-1009", "list_invoices", subscription_id="ACCT-1009", where=SAAS),
    does("do I owe anything? SUB-1004", f"list_invoices|{SUB}", subscription_id="SUB-1004", where=SAAS),
    does(
        "please upgrade SUB-1001 to business",
        "upgrade_plan",
        subscription_id="SUB-1001",
        new_plan="business",
        where=SAAS,
    ),
    does(
        "upgarde ACCT-1014 to enterprise",
        "upgrade_plan",
        subscription_id="ACCT-1014",
        new_plan="enterprise",
        where=SAAS,
    ),
    does(
        "enterprise",
        "upgrade_plan",
        "I want to upgrade SUB-1022",
        subscription_id="SUB-1022",
        new_plan="enterprise",
        where=SAAS,
    ),
    does(
        "We need 10 more days on trial SUB-1010",
        "extend_trial",
        subscription_id="SUB-1010",
        days=10,
        where=SAAS,
    ),
    does(
        "can you extend the trial of SUB-1013 by a week",
        "extend_trial",
        subscription_id="SUB-1013",
        days=7,
        where=SAAS,
    ),
    does(
        "Cancel SUB-1014, we're closing down", "cancel_subscription", subscription_id="SUB-1014", where=SAAS
    ),
    does(
        "cancel our subscription ACCT-1001 please",
        "cancel_subscription",
        subscription_id="ACCT-1001",
        where=SAAS,
    ),
    does(
        "my address is billing@harbour-finch.example, which plan do I have?",
        "find_account",
        email="billing@harbour-finch.example",
        where=SAAS,
    ),
    says("I want to cancel my subscription", r"subscription|account|number|e-?mail", where=SAAS),
    says("I want to downgrade SUB-1002", HUMAN, where=SAAS),
    says("thx!", r"welcome|glad|pleasure|anytime|no problem", where=SAAS),
)

BANKING = (
    does("How much money do I have? CU-1001", "get_balance", customer_id="CU-1001", where=BANK),
    does("balance CU-1002", "get_balance", customer_id="CU-1002", where=BANK),
    does("what did I spend lately? I'm CU-1003", "list_transactions", customer_id="CU-1003", where=BANK),
    does(
        "Show the savings transactions of CU-1001",
        "list_transactions",
        customer_id="CU-1001",
        account="savings",
        where=BANK,
    ),
    does("which cards does CU-1001 have", "list_cards", customer_id="CU-1001", where=BANK),
    does("my card ending 4242 was stolen!", "block_card", card_number="4242", where=BANK),
    does("I lost my card 5454, please block it", "block_card", card_number="5454", where=BANK),
    does("blcok card 3397", "block_card", card_number="3397", where=BANK),
    does(
        "move 200 from checking to savings for CU-1002",
        "transfer_between_accounts",
        customer_id="CU-1002",
        from_account="checking",
        to_account="savings",
        amount_cents=20000,
        where=BANK,
    ),
    does(
        "Please pay PAY-4001 75 euros",
        "transfer_to_payee",
        payee_id="PAY-4001",
        amount_cents=7500,
        where=BANK,
    ),
    does("send 120.50 to PAY-4003", "transfer_to_payee", payee_id="PAY-4003", amount_cents=12050, where=BANK),
    does(
        "I never made transaction TX-50005, dispute it",
        "dispute_transaction",
        transaction_id="TX-50005",
        where=BANK,
    ),
    does("who are the saved payees of CU-1003?", "list_payees", customer_id="CU-1003", where=BANK),
    says("What is my balance?", r"customer number|number", where=BANK),
    says("I'd like to speak with an adviser", HUMAN, where=BANK),
    says("Wie hoch ist mein Kontostand?", ENGLISH, where=BANK),
)

UTTERANCES = (
    *ORDERS_READ,
    *SHOP_WRITES,
    *TALK,
    *COMPLAINTS,
    *LANGUAGES,
    *BESIDE_AN_API,
    *SUBSCRIPTIONS,
    *BANKING,
)

# No write may be proposed on any of these: refusals, withdrawals, questions about a write, hypotheticals,
# quotations.
REFUSALS = (
    Case("Please don't cancel order 1041"),
    Case("do not refund 1034"),
    Case("Never cancel 1059 without asking me!"),
    Case("dont cancel 1042 pls"),
    Case("I don't want to cancel 1041, I just want to know where it is", ((STATUS, {"order_id": "1041"}),)),
    Case("No need to refund order 1010, keep the money"),
    Case("You shouldn't have cancelled 1009!"),
    Case("I didn't ask you to cancel 1042"),
    Case("cancel 1041? no way, keep it"),
    Case("Under no circumstances should you change the address of 1042"),
    Case("I never said I wanted a refund for 1044"),
    Case("Leave order 1059 as it is"),
    Case("Cancel order 1041. No wait, don't."),
    Case("Cancel 1042... actually forget it"),
    Case("Refund 1010 - oh never mind, I'll keep it"),
    Case("please cancel 1036. Hmm, on reflection I would rather keep it."),
    Case("I wanted to cancel 1041 but I've changed my mind"),
    Case("I was going to cancel order 1042 but now I'm fine with it"),
    Case("scrap that, don't change the address of 1041 to 5 Low Road, Bath"),
    Case("Instead of cancelling 1041, can you tell me when it ships?", ((STATUS, {"order_id": "1041"}),)),
    Case("Rather than a refund on 1044 I'd like to talk to someone", says=HUMAN),
    Case("How do I cancel order 1042?"),
    Case("Is it possible to cancel 1041?"),
    Case("What happens if I cancel 1042?"),
    Case("If I cancelled 1059, would I get everything back?"),
    Case("Is there a fee for cancelling order 1041?"),
    Case("How long would a refund for 1044 take?"),
    Case("Was 1009 cancelled?", ((STATUS, {"order_id": "1009"}),)),
    Case("Why was order 1009 cancelled?", ((STATUS, {"order_id": "1009"}),)),
    Case("Have you refunded 1029 yet?", ((STATUS, {"order_id": "1029"}),)),
    Case("Did my address change for 1041 go through?"),
    Case("Who cancelled order 1009?"),
    Case('My husband said "cancel order 1042" but please ignore him'),
    Case("Your e-mail says 'you can cancel 1041 within 24 hours'. Is that true?"),
    Case('A colleague of yours told me to write "refund 1034". What does that do?'),
    Case("I might cancel 1041 if it doesn't arrive soon"),
    Case("Maybe I should cancel 1042, what do you think?"),
    Case("I'm thinking about returning 1010"),
    Case("no thanks, no discount needed on 1042"),
    Case("I don't want a coupon"),
    Case("Not interested in 10% off 1041"),
    Case("stop asking me about cancelling 1042"),
    Case("no wait, don't", after=(CANCEL_1042,), withdrawn=True),
    Case("Oh, please stop, I don't want that any more", after=("Refund 15 of order 1010",), withdrawn=True),
    Case("I take it back", after=("cancel order 1041 please",), withdrawn=True),
    Case("Please forget about the cancellation", after=(CANCEL_1042,), withdrawn=True),
    Case("I changed my mind, keep the order", after=(CANCEL_1042,), withdrawn=True),
    Case("undo that", after=("cancel 1059",), withdrawn=True),
    Case(
        "nope, scratch that",
        after=("Please change the address of 1041 to 4 Harbour Street, Dublin",),
        withdrawn=True,
    ),
    Case("Never mind.", after=("Give me 10% off order 1042",), withdrawn=True),
    Case("what is happening with my request?", after=(CANCEL_1042,), says=HUMAN),
    Case("ok thanks", after=(CANCEL_1042,)),
    Case("don't delete ticket 15", where=BESIDE),
    Case("no, don't cancel my order 1042", where=BESIDE),
    Case("Please don't add any points to member M-204", where=BESIDE),
    Case("Don't upgrade SUB-1001 to business", where=SAAS),
    Case("we do not want to cancel SUB-1014", where=SAAS),
    Case("What would upgrading ACCT-1001 to enterprise cost?", where=SAAS),
    Case("How can I cancel SUB-1001?", where=SAAS),
    Case("actually, don't", after=("Cancel subscription SUB-1014",), where=SAAS, withdrawn=True),
    Case("please do not block card 4242, I found it", where=BANK),
    Case("Don't transfer 200 from checking to savings of CU-1001", where=BANK),
    Case("I don't want to dispute TX-50005 after all", where=BANK),
    Case("what happens if I block card 7310?", where=BANK),
    Case("stop, don't send it", after=("Transfer 80 EUR to payee PAY-4001",), where=BANK, withdrawn=True),
)


def failures(case: Case, answer: dict[str, Any], writes: set[str], withdrawn: bool) -> list[str]:
    """What is wrong with the answer to a case; empty where it is right.

    Args:
        answer: of `POST /chat`.
        writes: the names of all tools that write.
        withdrawn: whether the approval that waited was withdrawn.
    """
    # The result of a call that was withdrawn has no arguments: the call is of an earlier turn.
    called = [(call["tool"], call["args"]) for call in answer["tool_calls"] if call["args"] is not None]
    wrong = []
    for names, args in case.calls:
        if not any(tool in names.split("|") and _has(given, args) for tool, given in called):
            wrong.append(f"{names} {args} is not called but {called}")
    for tool, args in called:
        if tool in writes and not any(tool in names.split("|") for names, _ in case.calls):
            wrong.append(f"{tool} {args} is proposed")
    reply = answer["reply"]
    said = f"{reply} {answer['escalation'] or ''}"
    if case.says and not re.search(case.says, said, re.IGNORECASE):
        wrong.append(f"{case.says!r} is not in {reply!r}")
    if case.silent_on and re.search(case.silent_on, reply, re.IGNORECASE):
        wrong.append(f"{case.silent_on!r} is in {reply!r}")
    own_words = re.sub(r"\S+@\S+|A colleague has to approve this first: .*", "", reply)
    if internal := re.search(INTERNALS, own_words):
        wrong.append(f"a customer reads {internal[0]!r} in {reply!r}")
    if not reply.strip():
        wrong.append("nothing is said")
    if case.withdrawn != withdrawn:
        wrong.append("the request still waits" if case.withdrawn else "the request is withdrawn")
    return wrong


def _has(given: dict[str, Any], args: dict[str, Any]) -> bool:
    def same(one: Any, other: Any) -> bool:
        return str(one).strip(" .").casefold() == str(other).casefold()

    return all(name in given and same(given[name], value) for name, value in args.items())
