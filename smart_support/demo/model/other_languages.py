"""Notices a message in another language than English, and says in it that English is needed."""

import re
import unicodedata
from functools import lru_cache

from smart_support.demo.model.words import CANONICAL, STOP, word_set

# The sentence, then words that are common in the language and rare in English.
_LANGUAGES = {
    "German": (
        "Ich verstehe leider nur Englisch.",
        "ich der das und ist nicht mein meine meinen meiner wo wann wie wer bitte bestellung paket "
        "lieferung "
        "kann können möchte will habe haben hat sind ein eine einen mit für auf zu von noch schon kommt "
        "bleibt "
        "konto karte stornieren erstattung geld zurück danke guten tag hallo warum welche wurde sie mir "
        "mich",
    ),
    "French": (
        "Je ne comprends malheureusement que l'anglais.",
        "je le les un une des du et est pas mon ma mes où ou quand comment qui que commande colis "
        "livraison "
        "voudrais veux puis peux pouvez avez ai suis dans pour avec sur annuler remboursement bonjour "
        "merci "
        "pourquoi votre vous nous il elle ce cette mais solde carte compte salut svp",
    ),
    "Spanish": (
        "Lo siento, solo entiendo inglés.",
        "el los las un una y es mi mis dónde donde cuándo cuando cómo como quién que qué pedido paquete "
        "envío "
        "quiero quisiera puedo puede tengo está esta estoy para con por cancelar reembolso hola gracias "
        "buenos "
        "días por favor su usted pero saldo tarjeta cuenta dinero necesito cuál",
    ),
    "Italian": (
        "Mi dispiace, capisco solo l'inglese.",
        "il lo gli un una e è mio mia miei dov dove quando come chi che ordine pacco spedizione vorrei "
        "voglio "
        "posso può ho sono per con su annullare rimborso ciao grazie buongiorno favore perché il suo saldo "
        "carta conto soldi non della del nel mi ha",
    ),
    "Portuguese": (
        "Lamento, só entendo inglês.",
        "o os um uma e é meu minha onde está quando como quem que pedido encomenda pacote entrega quero "
        "gostaria "
        "posso pode tenho para com por cancelar reembolso olá obrigado obrigada bom dia favor não seu "
        "você mas "
        "saldo cartão conta dinheiro preciso qual",
    ),
    "Dutch": (
        "Ik begrijp helaas alleen Engels.",
        "ik de het een en niet mijn waar wanneer hoe wie bestelling pakket levering wil graag kan kunt "
        "heb heeft "
        "zijn met voor op van nog annuleren terugbetaling hallo bedankt dank goedendag waarom welke "
        "jullie mij "
        "rekening kaart geld maar",
    ),
    "Polish": (
        "Niestety rozumiem tylko po angielsku.",
        "gdzie jest moje mój moja kiedy jak kto zamówienie paczka przesyłka chcę chciałbym mogę proszę "
        "nie czy mam "
        "dla na do dzień dobry dziękuję anulować zwrot konto karta pieniądze dlaczego się to",
    ),
    "Turkish": (
        "Maalesef yalnızca İngilizce anlıyorum.",
        "nerede siparişim sipariş ne zaman nasıl kim kargo paket istiyorum lütfen iptal iade merhaba "
        "teşekkürler "
        "değil bir ve için hesabım kart param neden benim",
    ),
    "Swedish": (
        "Jag förstår tyvärr bara engelska.",
        "jag är inte min mitt mina var när hur vem beställning paket leverans vill kan har det en ett och "
        "med för "
        "på av till avbeställa återbetalning hej tack varför kort konto pengar du kolla",
    ),
    "Danish": (
        "Jeg forstår desværre kun engelsk.",
        "jeg er ikke min mit mine hvor hvornår hvordan hvem ordre bestilling pakke levering vil kan har "
        "det en et "
        "og med på af til annullere tilbagebetaling hej tak hvorfor",
    ),
    "Norwegian": (
        "Jeg forstår dessverre bare engelsk.",
        "jeg er ikke min mitt mine hvor når hvordan hvem bestilling bestillingen pakke pakken levering "
        "vil kan har det "
        "en et og med på av til avbestille refusjon hei takk hvorfor penger konto",
    ),
    "Finnish": (
        "Valitettavasti ymmärrän vain englantia.",
        "missä on minun tilaukseni tilaus paketti pakettini milloin miten kuka haluan haluaisin voinko "
        "voitko peruuttaa "
        "hyvitys hei kiitos miksi ei ole ja rahat tili kortti moi",
    ),
    "Czech": (
        "Bohužel rozumím jen anglicky.",
        "kde je moje můj objednávka objednávku balík kdy jak kdo chci chtěl mohu prosím není zrušit "
        "vrácení peníze "
        "dobrý den děkuji proč účet karta",
    ),
    "Hungarian": (
        "Sajnos csak angolul értek.",
        "hol van a az rendelésem rendelés csomagom csomag mikor hogyan szeretném szeretnék kérem nem "
        "lemondani vissza "
        "pénz köszönöm jó napot miért számla kártya",
    ),
    "Romanian": (
        "Din păcate, înțeleg doar engleza.",
        "unde este comanda mea meu coletul când cum cine vreau aș dori pot vă rog nu anulez anula "
        "rambursare bani bună "
        "ziua mulțumesc contul cardul",
    ),
    "Indonesian": (
        "Maaf, saya hanya mengerti bahasa Inggris.",
        "di mana pesanan saya paket kapan bagaimana siapa ingin mau bisa tolong tidak batalkan uang "
        "kembali terima kasih "
        "halo kenapa akun kartu",
    ),
    "Vietnamese": (
        "Xin lỗi, tôi chỉ hiểu tiếng Anh.",
        "đơn hàng của tôi ở đâu khi nào thế muốn có thể hủy hoàn tiền xin chào cảm ơn không tại sao tài "
        "khoản thẻ",
    ),
}
_SCRIPTS = {
    "CJK": "抱歉，我只会英文。",
    "HIRAGANA": "申し訳ありませんが、英語しか分かりません。",
    "KATAKANA": "申し訳ありませんが、英語しか分かりません。",
    "HANGUL": "죄송합니다. 저는 영어만 이해할 수 있습니다.",
    "CYRILLIC": "К сожалению, я понимаю только английский язык.",
    "ARABIC": "عذرًا، أفهم الإنجليزية فقط.",
    "HEBREW": "מצטער, אני מבין רק אנגלית.",
    "GREEK": "Λυπάμαι, καταλαβαίνω μόνο αγγλικά.",
    "DEVANAGARI": "क्षमा करें, मैं केवल अंग्रेज़ी समझता हूँ।",
    "THAI": "ขออภัย ฉันเข้าใจเฉพาะภาษาอังกฤษ",
}
_ENGLISH = frozenset(CANONICAL) | STOP | word_set("is it and the to")
_WORDS = {
    words: sentence
    for sentence, words in ((one[0], word_set(one[1]) - _ENGLISH) for one in _LANGUAGES.values())
}
MAX_CHARS = 400


@lru_cache(maxsize=256)
def apology(text: str) -> str | None:
    """The sentence for a text in another language, in that language; None for English and what is no "
    "language.

    It is empty where the language is not known.
    """
    start = text[:MAX_CHARS]
    letters = [character for character in start if character.isalpha()]
    scripts = [unicodedata.name(one, "").partition(" ")[0] for one in letters]
    others = [script for script in scripts if script != "LATIN"]
    if len(others) * 2 > len(letters):
        kana = next((one for one in others if one in ("HIRAGANA", "KATAKANA")), None)
        return _SCRIPTS.get(kana or others[0], "")
    words = re.findall(r"[^\W\d_]{2,}", re.sub(r"\S*@\S*", " ", start.lower()))
    english = sum(word in _ENGLISH for word in words)
    sentence, known = max(
        ((sentence, sum(word in of_it for word in words)) for of_it, sentence in _WORDS.items()),
        key=lambda item: item[1],
    )
    if known > english and (known > 1 or len(words) == 1):
        return sentence
    # A language that is none of these: no English word, and letters that English has not.
    return "" if len(words) > 2 and not english and not start.isascii() else None
