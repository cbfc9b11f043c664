"""Searching without asking: what the retriever finds, with its scores."""

from fastapi import APIRouter, Response

from rag_service.api.deps import Evaluator, ProtectedRoute, Svc
from rag_service.api.schemas.knowledge import SearchAnswer, SearchHit, SearchRequest
from rag_service.api.schemas.traces import TraceOut
from rag_service.db.repositories.filters import NO_FILTERS
from rag_service.knowledge.trace import Trace

router = APIRouter(tags=["search"], route_class=ProtectedRoute)


@router.post("/search", response_model=SearchAnswer)
async def search(body: SearchRequest, _: Evaluator, services: Svc) -> Response:
    """The chunks that answer a question best, by words and by meaning; of the documents that pass the filters, where
    there are any. With `trace`, how each was found and what was left out."""
    knowledge_base = await services.documents.knowledge_base(body.knowledge_base)
    filters = body.filters.to_filters() if body.filters else NO_FILTERS
    with await services.admission.gate.enter():
        found = await services.retriever.retrieve(
            body.query, knowledge_base.id, limit=body.limit, filters=filters, knowledge_base=knowledge_base
        )
    hits = [
        SearchHit(
            chunk_id=hit.source.chunk.id,
            document_id=hit.source.document_id,
            filename=hit.source.filename,
            title=hit.source.title,
            headings=hit.source.chunk.headings,
            page=hit.source.chunk.page,
            text=hit.source.chunk.text,
            score=hit.score,
        )
        for hit in found.hits
    ]
    told = [TraceOut.model_validate(Trace.of(hit)) for hit in found.all] if body.trace else None
    answer = SearchAnswer(hits=hits, timings=found.timings, trace=told)
    # Written here: FastAPI would check all of it a second time.
    return Response(answer.model_dump_json(), media_type="application/json")
