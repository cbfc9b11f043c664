"""Whether passages can answer a question: the measures, and what they come to."""

from uuid import uuid4

import pytest

from rag_service.db.repositories.read_back import FoundChunk, ReadableChunk
from rag_service.knowledge.coverage import Frequencies, Question, content, lead, roots
from rag_service.knowledge.embeddings import Embedder
from rag_service.knowledge.fusion import Fused
from rag_service.knowledge.refusal import Passage, answerable, familiarity, judged, least, signals
from rag_service.knowledge.retriever import Retrieval
from rag_service.knowledge.selection import Hit
from rag_service.knowledge.sentences import words

LEASE = Passage(
    "Every job has a lease of 30 seconds. A worker that dies loses it, and another worker takes the job.", 0.6
)
FAR = Passage("The portal is green, and opens at nine.", 0.1)


def test_what_the_passages_cover_is_answerable_and_what_they_do_not_is_not() -> None:
    covered = answerable(signals("How many seconds is the lease of a job?", [LEASE, FAR]))
    near = answerable(signals("Which Helm value sets the lease in Kubernetes?", [LEASE, FAR]))
    far = answerable(signals("What is the capital of Mongolia?", [Passage(LEASE.text, 0.1), FAR]))
    assert covered > 0.9 > near > far
    assert answerable(signals("What is the capital of Mongolia?", [])) < 0.01
    assert answerable(signals("???", [FAR], familiarity=0.0)) < 0.1


def test_similarity_counts_for_nothing_where_the_model_does_not_know_the_script() -> None:
    near, far = (
        signals("কাজের মেয়াদ কত?", [Passage("কাজের মেয়াদ ৩০ সেকেন্ড।", similarity)], familiarity=0.0)
        for similarity in (0.9, 0.0)
    )
    assert answerable(near) == answerable(far) > 0.5
    elsewhere = signals("মঙ্গোলিয়ার রাজধানী কোথায়?", [Passage("কাজের মেয়াদ ৩০ সেকেন্ড।", 0.9)], familiarity=0.0)
    assert answerable(elsewhere) < 0.1


def test_rare_words_weigh_more_and_question_words_nothing() -> None:
    frequencies = Frequencies(1000, {"service": 900, "lease": 3})
    asked = Question.of("What is the lease of the service?", frequencies)
    assert set(asked.weights) == {"lease", "service"}
    assert asked.share_in({"lease"}) > 0.9
    assert asked.share_in({"lease", "service"}) == pytest.approx(1)
    assert Question.of("What is it?", frequencies).share_in({"what"}) == 0


@pytest.mark.parametrize(
    ("question", "about"),
    [
        ("পাসপোর্ট নবায়ন করতে কত টাকা লাগে?", {"পাসপোর্ট", "নবায়ন", "টাকা"}),
        ("When did the war begin?", {"war", "begin"}),
        ("What is AI?", {"ai"}),
        ("Wann war der Krieg?", {"krieg"}),
        ("Πόσο κοστίζει το διαβατήριο;", {"κοστίζει", "διαβατήριο"}),
        ("Mitä passi maksaa?", {"passi", "maksaa"}),
    ],
)
def test_what_a_question_is_about_is_told_by_its_own_language(question: str, about: set[str]) -> None:
    assert set(content(question, words)) == set(words(" ".join(about)))


def test_words_that_only_ask_give_no_passage_a_lead() -> None:
    key = Passage("প্রোগ্রাম থেকে নথি যোগ করতে একটি চাবি লাগে।", 0.0)
    others = [Passage(f"নথি {n} পড়া শেষ হলে উত্তর দেওয়া হয়।", 0.0) for n in range(20)]
    everywhere = Frequencies.among([words(one.text) for one in (key, *others)])

    def likely(question: str) -> float:
        return answerable(
            signals(question, [key, *others[:4]], everywhere, crowd=[key, *others], familiarity=0.0)
        )

    assert likely("পাসপোর্ট নবায়ন করতে কত টাকা লাগে?") < 0.1
    assert likely("নথি যোগ করতে কী লাগে?") > 0.5
    assert likely("চাবি কেন লাগে?") > 0.9


def test_who_is_ahead_of_many_leads_and_who_shares_what_all_have_does_not() -> None:
    texts = [words(f"The lease of worker {n} ends.") for n in range(20)]
    everywhere = Frequencies.among(texts)
    assert lead("Which lease?", texts, everywhere) < 0.01
    assert lead("Who is worker 7?", texts, everywhere) > 0.2
    assert lead("Who is it?", texts, everywhere) == lead("lease", [], everywhere) == 0.0


def test_inflected_words_of_other_scripts_are_the_same() -> None:
    assert roots(["বাংলাদেশের"]) == roots(["বাংলাদেশে"])
    assert roots(["leases"]) != roots(["lease"])


@pytest.mark.parametrize(
    ("question", "least", "most"),
    [
        ("How long does a worker hold its lease?", 0.9, 1.0),
        ("কাজের মেয়াদ কত সেকেন্ড?", 0.0, 0.2),
        ("कितने सेकंड का पट्टा है?", 0.0, 0.2),
        ("租约有多少秒？", 0.0, 0.3),
        ("???", 0.0, 0.0),
    ],
)
def test_how_well_the_built_in_model_knows_a_script(
    real_embedder: Embedder, question: str, least: float, most: float
) -> None:
    assert least <= familiarity(question, real_embedder) <= most


def found_with(*similar: float) -> Retrieval:
    """Passages with these similarities."""
    texts = [LEASE.text, FAR.text, "কাজের মেয়াদ ৩০ সেকেন্ড।"]
    chunks = [FoundChunk(uuid4(), uuid4(), 0, text, [], "", None) for text in texts]
    return Retrieval(
        [
            Hit(ReadableChunk(chunk, uuid4(), "a", "a"), Fused(chunk.id, cosine, 1, None, None, cosine))
            for chunk, cosine in zip(chunks, similar, strict=False)
        ]
    )


@pytest.mark.parametrize("similar", [(0.9, 0.7, 0.1), (0.5, 0.5), (0.2, -0.2, -0.1), (-0.3,), (0.0,), ()])
@pytest.mark.parametrize(
    "question",
    ["How many seconds is the lease of a job?", "What is the capital of Mongolia?", "কাজের মেয়াদ কত?", "?"],
)
def test_the_least_is_never_more_than_what_all_measures_say(
    question: str, similar: tuple[float, ...], real_embedder: Embedder
) -> None:
    found = found_with(*similar)
    assert least(question, found, real_embedder) <= judged(question, found, real_embedder)[0]


def test_of_a_passage_that_is_near_the_least_is_enough(real_embedder: Embedder) -> None:
    near, far = found_with(0.8, 0.5), found_with(0.4, 0.2)
    assert least("How long is the lease of a job?", near, real_embedder) > 0.5
    assert least("How long is the lease of a job?", far, real_embedder) < 0.3
