"""A conversation as FlowGPT takes it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from parley.chat.prompt import (
    Assistant,
    Developer,
    FunctionCall,
    Message,
    Prompt,
    RefusalPart,
    System,
    TextPart,
    Tool,
    User,
)
from parley.dialects.flowgpt import Context, Talk, chat, conversation, guest_chat, told
from parley.dialects.flowgpt.catalogue import known, personality
from parley.errors import BadRequest, UnsupportedParameter

WHO = personality("uzNcMUGo4sOwl4GFvRpm8")
TALK = (
    System("You are terse."),
    User("Say hi"),
    Assistant("Hello"),
    Developer("Use French."),
    User("And in French?"),
)


def asked(*messages: Message, context: Context = "history", made: str | None = None, **more: Any) -> dict[str, Any]:
    prompt = Prompt(messages=list(messages), **more)
    body: dict[str, Any] = json.loads(chat(told(messages), WHO, prompt, context=context, conversation_id=made))
    return body


def test_a_question_is_the_recorded_shape() -> None:
    assert asked(User("Hi"), context="create", made="conv_made_up_1") == {
        "model": "FlowGPT-Ares",
        "nsfw": False,
        "question": "Hi",
        "temperature": 0.7,
        "userId": "",
        "promptId": "uzNcMUGo4sOwl4GFvRpm8",
        "conversationId": "conv_made_up_1",
        "documentIds": [],
        "generateImage": False,
        "generateAudio": False,
    }


def test_history_and_instructions_go_with_the_question() -> None:
    body = asked(*TALK)
    assert body["question"] == "And in French?"
    assert body["system"] == "You are terse.\n\nUse French."
    assert body["history"] == [{"role": "user", "content": "Say hi"}, {"role": "assistant", "content": "Hello"}]
    assert "conversationId" not in body


def test_a_conversation_is_told_everything_but_the_question() -> None:
    talk = told(TALK)
    assert json.loads(conversation(talk, WHO)) == {
        "promptId": "uzNcMUGo4sOwl4GFvRpm8",
        "location": "CHAT_PAGE",
        "messages": [
            {"role": "system", "content": "You are terse."},
            {"role": "user", "content": "Say hi"},
            {"role": "assistant", "content": "Hello"},
            {"role": "system", "content": "Use French."},
        ],
    }
    assert "history" not in asked(*TALK, context="create", made="c")
    both = asked(*TALK, context="both", made="c")
    assert both["conversationId"] == "c" and len(both["history"]) == 2


def test_a_guest_asks_in_the_recorded_shape() -> None:
    talk = told((System("You are helpful."), User("Say hi"), Assistant("Hello"), User("And in French?")))
    assert json.loads(guest_chat(talk, personality("model-gpt-3.5-turbo"), Prompt(messages=[User("x")]))) == {
        "model": "gpt-3.5-turbo",
        "nsfw": False,
        "question": "And in French?",
        "history": [{"role": "user", "content": "Say hi"}, {"role": "assistant", "content": "Hello"}],
        "system": "You are helpful.",
        "temperature": 0.7,
        "promptId": "model-gpt-3.5-turbo",
        "documentIds": [],
        "chatFileDocumentIds": [],
        "generateImage": False,
        "generateAudio": False,
    }


@pytest.mark.parametrize(("said", "sent"), [(None, 0.7), (0.0, 0.0), (0.3, 0.3), (1.0, 1.0), (2.0, 1.0)])
def test_a_temperature_is_kept_within_what_is_known_to_work(said: float | None, sent: float) -> None:
    assert asked(User("Hi"), temperature=said)["temperature"] == sent


def test_messages_of_one_role_in_a_row_stay_apart() -> None:
    talk = told((User("one"), User("two"), Assistant("a"), Assistant("b"), User("three")))
    assert talk == Talk([("user", "one"), ("user", "two"), ("assistant", "a"), ("assistant", "b")], "three")


def test_parts_are_joined_and_what_was_declined_is_told() -> None:
    declined = Assistant([TextPart("No: "), RefusalPart("never")])
    older = Assistant(None, refusal="I will not.")
    talk = told((User([TextPart("a"), TextPart("b")]), declined, User("x"), older, User([TextPart("Why?")])))
    assert talk.turns == [("user", "ab"), ("assistant", "No: never"), ("user", "x"), ("assistant", "I will not.")]
    assert talk.question == "Why?"


def test_wordless_messages_are_left_out() -> None:
    assert told((System(""), User(" "), Assistant(""), User("Hi"))) == Talk([], "Hi")


def test_instructions_behind_the_question_are_instructions() -> None:
    talk = told((User("Hi"), System("Be brief.")))
    assert (talk.question, talk.system, talk.history) == ("Hi", "Be brief.", [])


@pytest.mark.parametrize(
    "messages",
    [(User("Hi"), Assistant("Hello")), (System("x"),), (User("Hi"), Assistant("a"), System("b")), (User(" "),)],
)
def test_without_a_question_there_is_no_request(messages: tuple[Message, ...]) -> None:
    with pytest.raises(BadRequest) as refused:
        told(messages)
    assert refused.value.param == "messages"


def test_going_on_is_asked_for_where_an_operator_wants_that() -> None:
    talk = told((User("Hi"), Assistant("Hel")), go_on="Continue.")
    assert talk == Talk([("user", "Hi"), ("assistant", "Hel")], "Continue.")
    with pytest.raises(BadRequest):
        told((System("x"),), go_on="Continue.")
    assert told((User("Hi"),), go_on="Continue.").question == "Hi"


def test_tools_cannot_be_told() -> None:
    with pytest.raises(UnsupportedParameter) as refused:
        told((User("Hi"), Assistant(None, function_call=FunctionCall("f")), Tool("42", "call-1"), User("so?")))
    assert refused.value.param == "messages[2]"


@pytest.mark.parametrize(
    ("name", "prompt_id", "model"),
    [
        ("default", "uzNcMUGo4sOwl4GFvRpm8", "FlowGPT-Ares"),
        ("gpt-4-free", "uzNcMUGo4sOwl4GFvRpm8", "FlowGPT-Ares"),
        ("chatgpt-5-pro", "vlaOLDN9qTxzIlvzfL_Ty", "FlowGPT-Ares"),
        ("aisuperior", "lKm5yPE9x-Naf0_0_KI5M", "FlowGPT-Ares"),
        ("claude-instant", "model-claude-instant", "claude-instant"),
        ("gpt-4-turbo", "model-gpt-4-turbo", "gpt-4-turbo"),
        ("V1StGXR8_Z5jdHi6B-myT", "V1StGXR8_Z5jdHi6B-myT", "FlowGPT-Ares"),
    ],
)
def test_a_model_name_is_a_prompt(name: str, prompt_id: str, model: str) -> None:
    who = known(name)
    assert who is not None
    assert (who.prompt_id, who.model) == (prompt_id, model)


def test_other_names_are_nobody() -> None:
    assert known("gpt-4o") is None
