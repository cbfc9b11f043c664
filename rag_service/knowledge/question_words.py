"""Words that make a question of it and say nothing of what it is about, in the languages that are asked most.

Rare in documents, they would weigh most. Scripts without spaces have them as pairs of characters too.
"""

QUESTION_WORDS = """
a an the of to in on at for from by with as about is are was were be been am do does did has have had
can could
will would shall should may might must what which who whom whose when where why how it its this that
these those
there i me my we us our you your they their them and or if so any some please tell
কী কি কে কাকে কার কারা কখন কবে কোথায় কোথা কেন কীভাবে কিভাবে কেমন কত কতটা কতগুলো কয় কয়টি কোন কোনটি
আমি আমার আমরা আমাদের আপনি আপনার এই সেই ওই এটি সেটি এর ও এবং বা না যে যা তা হয় হয়েছে হয়েছিল ছিল ছিলেন
আছে করা করে করেন করব করতে জন্য থেকে
क्या कौन किस किसने किसके किसकी किसे कब कहाँ कहां क्यों कैसे कितना कितने कितनी कौनसा है हैं था थी थे का
की के को में से पर और या
ने हुआ हुई हुए गया गई गए यह वह एक लिए किया करता करते
ما ماذا من متى أين كم كيف لماذا هل أي التي الذي في على إلى عن هو هي كان كانت و أو
что кто кого кому когда где как какой какая какое какие каким каком какую сколько почему чем чего в на
из с по от для и или
был была было были это
什么 多少 哪里 哪个 哪些 哪一 哪种 哪位 为什 何时 何地 何种 如何 怎么 怎样 几个 谁是 是谁 是什 时候 么时 的是 是多 了多
อะไร ใคร เมื่อไหร่ เมื่อใด ที่ไหน ทำไม อย่างไร เท่าไร เท่าไหร่ กี่ ใด ไหน คือ เป็น ของ มี ใน
qué que quién quien quiénes cuándo cuando dónde donde cómo como cuánto cuántos cuántas cuál cuáles por
el la los las un una de del
en y o es son fue era se
was wer wen wem wessen wann wo wohin woher wie warum weshalb welche welcher welches welchen wieviel
viele viel der die das
den dem des ein eine einer im in von zu und oder ist sind war waren hat wurde
quoi qui quand où comment pourquoi combien quel quelle quels quelles est ce le les des du et ou a
ne neden kim kime ne zaman nerede nasıl kaç hangi kadar mi mı ve bir bu
gì ai khi nào đâu sao bao nhiêu là của và có

"""
