"""Mail: its head, its body, and what is attached to it."""

from email.message import EmailMessage

import pytest

from ingest.limits import Limits
from rag_service.errors import UnreadableDocument
from tests.unit.ingest import files
from tests.unit.ingest.conftest import Read


def message(**headers: str) -> EmailMessage:
    made = EmailMessage()
    made["Subject"] = headers.get("subject", "Größe der Räume ☸")
    made["From"] = "Ana Müller <ana@example.org>"
    made["To"] = "bo@example.org"
    made["Date"] = "Tue, 03 Mar 2026 10:00:00 +0000"
    made.set_content(headers.get("body", "Dear Bo,\n\n- one room\n- two rooms\n"))
    return made


def test_a_message_says_who_wrote_when_about_what(read: Read) -> None:
    made = message()
    made.add_alternative("<html><p>Dear <b>Bo</b></p></html>", subtype="html")
    found = read("mail.eml", made.as_bytes())
    assert found.title == "Größe der Räume ☸"
    assert found.media_type == "message/rfc822"
    assert found.text == (
        "# Größe der Räume ☸\n\nFrom: Ana Müller <ana@example.org>\nTo: bo@example.org\n"
        "Date: Tue, 03 Mar 2026 10:00:00 +0000\n\nDear Bo,\n\n- one room\n- two rooms"
    )
    assert read("saved.txt", made.as_bytes()).title == found.title


def test_a_body_that_is_html_alone_is_read_as_a_page(read: Read) -> None:
    made = message()
    made.set_content("<html><style>p {}</style><h1>Hours</h1><p>Nine &amp; five</p></html>", subtype="html")
    found = read("mail.eml", made.as_bytes())
    assert found.text.endswith("# Hours\n\nNine & five")
    assert [block.level for block in found.blocks if block.kind == "heading"] == [1, 2]


def test_attachments_are_listed_read_where_they_hold_text_and_else_told(read: Read) -> None:
    made = message()
    rooms = files.workbook({"Rooms": [["Room", "Seats"], ["Oak", 12]]})
    made.add_attachment(rooms, "application", "x", filename="r.xlsx")
    made.add_attachment(b"\x89PNG", "image", "png", filename="logo.png")
    made.add_attachment(b"PK\x03\x04" + bytes(26), "application", "zip", filename="../../all.zip")
    made.add_attachment(message(subject="Earlier", body="What I said before."))
    found = read("mail.eml", made.as_bytes())
    assert "Attachments: r.xlsx, logo.png, ../../all.zip, Earlier.eml" in found.text
    assert "## Attachment: r.xlsx\n\n## Rooms\n\n| Room | Seats |\n| --- | --- |\n| Oak | 12 |" in found.text
    assert "What I said before." in found.text
    assert [warning.split(":")[0] for warning in found.warnings] == [
        "The attachment logo.png was left out",
        "The attachment ../../all.zip was left out",
    ]


def test_an_attachment_that_unpacks_to_too_much_is_left_out_and_the_others_are_read(read: Read) -> None:
    made = message()
    bomb = files.word_of(f"<w:t>{'a ' * 3_000_000}</w:t>")
    made.add_attachment(bomb, "application", "x", filename="bomb.docx")
    made.add_attachment(
        files.word_of("<w:p><w:r><w:t>Good</w:t></w:r></w:p>"), "application", "x", filename="b.docx"
    )
    found = read("mail.eml", made.as_bytes(), Limits(text_mb=2))
    assert "Dear Bo" in found.text and "## Attachment: b.docx\n\nGood" in found.text
    (warning,) = found.warnings
    assert (
        warning.startswith("The attachment bomb.docx was left out: ")
        and "unpacks to more than 4 MB" in warning
    )


def test_messages_within_messages_are_read_to_a_depth(read: Read) -> None:
    made = message(subject="0", body="level 0")
    for level in range(1, 6):
        outer = message(subject=str(level), body=f"level {level}")
        outer.add_attachment(made)
        made = outer
    found = read("mail.eml", made.as_bytes())
    assert [f"level {level}" in found.text for level in (5, 4, 3, 2)] == [True, True, True, False]
    assert "too deep within other messages" in found.warnings[0]


@pytest.mark.parametrize("kind", ["multipart/encrypted; boundary=x", "application/pkcs7-mime"])
def test_an_encrypted_message_fails(read: Read, kind: str) -> None:
    with pytest.raises(UnreadableDocument, match="encrypted message") as failed:
        read("mail.eml", f"Subject: x\nMIME-Version: 1.0\nContent-Type: {kind}\n\nMIAGCSqGSIb3")
    assert failed.value.code == "encrypted"


def test_a_message_that_is_broken_is_read_as_far_as_it_goes(read: Read) -> None:
    found = read(
        "mail.eml",
        b"Subject: =?no-such-charset?B?4pi4?=\nFrom: \xff\xfe\nContent-Type: text/plain; charset=nowhere\n"
        b"Content-Transfer-Encoding: base64\n\nSGVsbG8gdGhlcmU=\n",
    )
    assert "Hello there" in found.text
