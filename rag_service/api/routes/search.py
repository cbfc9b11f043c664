"""Searching without asking: what the retriever finds, with its scores."""

from fastapi import APIRouter

from rag_service.api.deps import Admin, ProtectedRoute, Svc
from rag_service.api.schemas.knowledge import SearchAnswer, SearchHit, SearchRequest, Trace
from rag_service.db.repositories.filters import NO_FILTERS

router = APIRouter(tags=["search"], route_class=ProtectedRoute)


@router.post("/search")
async def search(body: SearchRequest, _: Admin, services: Svc) -> SearchAnswer:
    """The chunks that answer a question best, by words and by meaning; of the documents that pass the filters, where
    there are any. With `trace`, how each was found and what was left out."""
    knowledge_base = await services.documents.knowledge_base(body.knowledge_base)
    filters = body.filters.to_filters() if body.filters else NO_FILTERS
    with await services.admission.gate.enter():
        found = await services.retriever.retrieve(
            body.query, knowledge_base.id, limit=body.limit, filters=filters
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
            score=hit.found.fused,
        )
        for hit in found.hits
    ]
    trace = [Trace.of(hit) for hit in (*found.hits, *found.left_out)] if body.trace else None
    return SearchAnswer(hits=hits, timings=found.timings, trace=trace)
