"""Use a server by the client that openapi-python-client generated from its document. Arguments: URL, TOKEN."""

import io
import sys

from floret_api import AuthenticatedClient, Client
from floret_api.api.builds import build, create_corpus
from floret_api.api.jobs import follow_job, get_job, list_jobs
from floret_api.api.search import list_resources, search
from floret_api.api.server import is_ready
from floret_api.api.versions import get_content, get_document, get_log, save_content
from floret_api.models import (
    BuildRequest,
    CascadeReport,
    CorpusRequest,
    ErrorCode,
    Job,
    JobState,
    Problem,
)
from floret_api.types import File

url, token = sys.argv[1:]
client = AuthenticatedClient(base_url=url, token=token, raise_on_unexpected_status=True)
nobody = Client(base_url=url, raise_on_unexpected_status=True)

TEXT = {"namespace": "default", "type_": "literature", "id": "a/b ü"}


def save(text):
    body = File(payload=io.BytesIO(text))
    return save_content.sync_detailed(**TEXT, client=client, body=body)


# Who may not, is told so, in the words of the document.
assert is_ready.sync(client=nobody).status.value == "ready"
refused = list_resources.sync(client=nobody)
assert isinstance(refused, Problem) and refused.code == ErrorCode.UNAUTHENTICATED, refused
missing = get_document.sync(**TEXT, client=client)
assert isinstance(missing, Problem), missing
assert (missing.status, missing.code) == (404, ErrorCode.NOT_FOUND), missing

# Save, get, list.
first, again = save(b"liberty and union"), save(b"liberty and union")
assert (first.status_code, again.status_code) == (201, 200)
assert (first.parsed.seq, first.parsed.resource_id) == (1, TEXT["id"]), first.parsed
assert first.parsed.data_hash == again.parsed.data_hash
content = get_content.sync_detailed(**TEXT, client=client)
assert content.parsed.payload.read() == b"liberty and union"
assert content.headers["etag"] == f'"{first.parsed.data_hash}"'
assert [entry.seq for entry in get_log.sync(**TEXT, client=client)] == [1]
listed = list_resources.sync(client=client, type_="literature")
assert [entry.resource for entry in listed.resources] == ["literature/a/b ü"], listed
assert listed.next_after is None

# Build and search.
corpus = CorpusRequest(key="corpus/a", documents=["literature/a/b ü"])
made = create_corpus.sync(client=client, body=corpus)
assert isinstance(made, CascadeReport) and made.published, made
trie = BuildRequest(key="trie/a", inputs=["corpus/a"])
built = build.sync(client=client, body=trie)
assert isinstance(built, CascadeReport) and built.published and built.steps, built
found = search.sync(client=client, index="trie/a", text="libert", mode="prefix")
assert [hit.word for hit in found.hits] == ["liberty"], found

# The same as a job, which nobody waits for but who follows it.
job = build.sync(client=client, body=trie, prefer="respond-async")
assert isinstance(job, Job), job
assert "event: ended" in follow_job.sync(job=job.id, client=client)
ended = get_job.sync(job=job.id, client=client)
assert (ended.id, ended.state) == (job.id, JobState.DONE), ended
assert ended.steps_done == ended.steps_planned, ended
assert job.id in [known.id for known in list_jobs.sync(client=client)]
print("all is as described")
