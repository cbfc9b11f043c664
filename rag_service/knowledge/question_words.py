"""Words that make a question of it and say nothing of what it is about, in the languages that are asked most.

Rare in documents, they would weigh most. Scripts without spaces have them as pairs of characters too. Those of Latin
script are kept apart by language, since what is such a word in one is a subject in another: German's "war" and "die",
Vietnamese's "ai".
"""

from functools import lru_cache

from rag_service.knowledge.sentences import words

_LATIN = {
    "en": """
a an the of to in on at for from by with as about is are was were be been being am do does did has have had can could
will would shall should may might must what which who whom whose when where why how its it this that these those
there i me my we us our you your he she his her him they their them and or but not no if so than then into any some
many much please tell""",
    "es": """
qué que quién quien quiénes cuándo cuando dónde donde cómo como cuánto cuánta cuántos cuántas cuál cuáles por para con
sin el la lo los las un una unos unas de del a al en y o es son fue fueron era eran ser está están ha han se su sus
mi me yo puedo puede tiene hay""",
    "pt": """
que quem quando onde como quanto quanta quantos quantas qual quais por porque para com sem o a os as um uma de do da
dos das em no na nos nas e ou é são foi foram era eram ser está ao à se seu sua meu minha eu posso pode tem há""",
    "it": """
che chi cosa quando dove come quanto quanta quanti quante quale quali qual perché per con senza il lo la i gli le un
uno una di del della dello dei degli delle a al alla in nel nella e o è sono fu era erano stato essere ha hanno si suo
sua mio mia io posso può c'è""",
    "fr": """
quoi qui quand où comment pourquoi combien quel quelle quels quelles que qu est ce c sont était étaient été être a ont
le la l les un une des de du d au aux en dans par pour avec sans sur et ou à il elle on se s son sa ses je mon ma mes
peut puis y t""",
    "de": """
was wer wen wem wessen wann wo wohin woher wie warum weshalb wieso welche welcher welches welchen welchem wieviel
viele viel der die das den dem des ein eine einer einem einen eines im in am an auf aus bei für mit nach von vom zu
zum zur und oder ist sind war waren wird werden wurde wurden hat haben hatte kann man es sich sein seine ihr ihre ich
mein meine""",
    "nl": """
wat wie wanneer waar waarom hoe hoeveel welke welk de het een van in op aan bij voor met naar uit door te en of is zijn
was waren wordt werd werden heeft hebben had kan men er dit dat deze die ik mijn""",
    "sv": """
vad vem vilka vilken vilket när var varför hur många mycket den det en ett av i på till för med från och eller är var
blev har hade kan man jag min""",
    "fi": """
mikä mitä mitkä minkä missä mistä mihin milloin koska kuka ketkä kenen ketä miksi miten kuinka montako paljonko moni
monta paljon onko on oli olivat ovat ollut olla ja tai se sen sitä ne tämä tämän joka että kun voi voiko minä minun""",
    "pl": """
co kto kogo kiedy gdzie jak jaka jaki jakie dlaczego czemu ile który która które czy w we na z ze do od po za i lub
jest są był była było byli być ma to ten ta się mogę""",
    "tr": """
ne neden niçin kim kime kimin hangi zaman nerede nereden nereye nasıl kaç kadar mi mı mu mü ve veya bir bu şu o ile
için olan olarak oldu vardır var nedir kimdir ben benim""",
    "vi": """
gì ai khi nào đâu sao bao nhiêu mấy tại vì như thế là của và có được đã cho trong ở từ với những các một này đó tôi
không""",
    "id": """
apa siapa kapan di mana dimana mengapa kenapa bagaimana berapa yang dan atau ke dari untuk dengan pada oleh adalah
ini itu ada bisa saya""",
}

_OTHERS = """
কী কি কে কাকে কার কারা কখন কবে কোথায় কোথা কোথাকার কেন কীভাবে কিভাবে কেমন কত কতটা কতটুকু কতজন কতদিন কতগুলো কতগুলি
কয় কয়টি কোন কোনটি কোনো আমি আমার আমাকে আমরা আমাদের আপনি আপনার তুমি তোমার তার তাদের এই সেই ওই এটি এটা সেটি সেটা এর
ও এবং বা অথবা না যে যা তা হয় হয়েছে হয়েছিল হবে হতে হলে হলো হল ছিল ছিলেন আছে করা করে করেন করি করব করবে করবেন করতে
করলে করার করেছিল করেছিলেন যায় যাবে যেতে গেলে লাগে লাগবে পারি পারে পারব পারবে পারেন জন্য থেকে দিয়ে নিয়ে সাথে সঙ্গে
क्या कौन कौनसा कौनसी किस किसने किसके किसकी किसका किसे कब कहाँ कहां क्यों कैसे कैसा कैसी कितना कितने कितनी है हैं था
थी थे हो होता होती होते होगा का की के को में से पर और या ने हुआ हुई हुए गया गई गए यह वह ये वे इस उस एक लिए कि जो
किया करता करते करना करने कर सकता सकते सकती मैं मेरा मेरी मेरे मुझे तक
ما ماذا من متى أين كم كيف لماذا هل أي أية التي الذي الذين في على إلى عن مع هو هي هذا هذه ذلك كان كانت يكون و أو أن
چه چی که کی کجا چرا چگونه چطور چند کدام آیا است بود شد در از به با را این آن و یا برای من
کیا کون کب کہاں کیوں کیسے کتنا کتنے کتنی ہے ہیں تھا تھی تھے کا کی کے کو میں سے پر اور یا نے
что кто кого кому кем чей когда где куда откуда как какой какая какое какие каким каком какую каких сколько почему
зачем чем чего в во на из с со по от до для о об и или был была были было быть есть это ли у за не я мой мне можно
що хто кого коли де куди як який яка яке які скільки чому чим у в на із з по від для і й або був була були було це є
τι ποιος ποια ποιο ποιοι ποιες ποιον πότε πού που πώς πως γιατί πόσο πόσος πόση πόσα πόσοι πόσες ο η το οι τα του της
των τον την στο στη στην στον στα σε από για με και ή είναι ήταν έχει είχε να θα
什么 多少 哪里 哪个 哪些 哪一 哪种 哪位 为什 何时 何地 何种 如何 怎么 怎样 几个 谁是 是谁 是什 时候 么时 的是 是多 了多
什麼 哪裡 哪個 為什 何時 怎麼 怎樣 幾個 誰是 是誰 時候 麼時
อะไร ใคร เมื่อไหร่ เมื่อใด ที่ไหน ทำไม อย่างไร เท่าไร เท่าไหร่ กี่ ใด ไหน คือ เป็น ของ มี ใน
何 誰 いつ どこ なぜ どう どの どれ いく くつ です ます した ます ますか とは のは のか ですか から まで
무엇 누구 언제 어디 왜 어떻게 얼마나 몇 어떤 어느 은 는 이 가 을 를 의 에 에서 입니까 인가요 했습니까
"""


@lru_cache
def _listed() -> dict[str, frozenset[str]]:
    return {language: frozenset(words(listed)) for language, listed in _LATIN.items()}


def question_words(question: str) -> str:
    """The words that count for nothing in a question: those of all other scripts, and of the Latin ones those of the
    language, or of each language, that most of the question's words are of."""
    asked = set(words(question))
    of = {language: len(asked & listed) for language, listed in _listed().items()}
    most = max(of.values())
    return _joined(tuple(language for language, count in of.items() if count == most > 0))


@lru_cache
def _joined(languages: tuple[str, ...]) -> str:
    return " ".join([*(_LATIN[language] for language in languages), _OTHERS])
