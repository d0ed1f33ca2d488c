"""The official client h2ogpte, 1.6 or 1.7, unmodified, asks what it is told to: the words, their pieces, the bill."""

import json
import sys

from h2ogpte import H2OGPTE

client = H2OGPTE(sys.argv[1], api_key="sk-h2o-test")


def told(question):
    chat = client.create_chat_session()
    pieces = []
    with client.connect(chat) as session:
        session.query(callback=pieces.append, timeout=20, **question)
    *partial, reply = pieces
    bill = json.loads(client.list_chat_message_meta_part(reply.id, "usage_stats").content)["usage"][-1]
    client.delete_chat_sessions([chat])
    streamed = "".join(piece.content for piece in partial if piece.content)
    return [
        {"text": text, "usage": [bill["input_tokens"], bill["output_tokens"]]} for text in (reply.content, streamed)
    ]


print(json.dumps([told(question) for question in json.loads(sys.argv[2])]))
