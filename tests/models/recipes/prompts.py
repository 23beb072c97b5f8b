"""What the tiny language models are asked for their references."""

from corpus import ADD, WEATHER, Conversation, assistant, call, result, system, user

PLAIN = [
    Conversation([user("The baker sells warm bread")]),
    Conversation([user("Once upon a time, in a town by the sea,")]),
    Conversation([user("Tell me a story.")]),
    Conversation([user("What does the little robot do?")]),
    Conversation([user("Write Our neighbour as JSON.")]),
    Conversation([user("Was macht der Bäcker?")]),
    Conversation([user("Erzähl mir eine Geschichte.")]),
    Conversation([user("Que fait la vieille maîtresse ?")]),
    Conversation([user("Raconte-moi une histoire.")]),
    Conversation([user("¿Qué hace el panadero?")]),
    Conversation([user("Расскажи мне историю.")]),
    Conversation([user("给我讲一个故事。")]),
    Conversation([user("お話をしてください。")]),
    Conversation([user("🙂")]),
    Conversation([user("👩‍🚀🚀 3… 2… 1… ¡ya! 🎆")]),
    Conversation([user("面包师 counts the 星星 ✨ 12345 times\n\n\tand   then?")]),
    Conversation([system("You answer in German."), user("What does my sister do?")]),
    Conversation([system("You are a helpful assistant."), user("Cuéntame una historia.")]),
    Conversation([system("You answer in Japanese."), user("小さなロボットは何をしますか?")]),
    Conversation(
        [
            user("What does a sailor do?"),
            assistant("A sailor reads a long letter near the harbour."),
            user("What does the baker do?"),
        ]
    ),
    Conversation(
        [
            system("You answer in Russian."),
            user("Что делает пекарь?"),
            assistant("Пекарь считает звёзды под мостом."),
            user("Что делает моя сестра?"),
            assistant("Моя сестра красит синюю дверь рано утром."),
            user("Расскажи мне историю."),
        ]
    ),
    Conversation([user("Der Regen fällt auf die Dächer, und niemand")]),
    Conversation([user("   ")]),
    Conversation([user("I'LL say it's 1st: don't!")]),
]

WITH_TOOLS = [
    Conversation([user("What is the weather in Paris?")], [WEATHER]),
    Conversation([system("You are a helpful assistant."), user("How much is 2 plus 7?")], [ADD, WEATHER]),
    Conversation(
        [
            user("What is the weather in 東京?"),
            call("get_weather", city="東京"),
            result("get_weather", {"degrees": 21, "sky": "cloudy"}),
        ],
        [WEATHER],
    ),
]
