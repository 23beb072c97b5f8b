"""What the tiny language models read: small worlds in seven languages, and conversations about them.

Every text is put together here from a few phrases, so nothing has to be fetched and nobody else's words are kept.
"""

import json
import random
from dataclasses import dataclass, field


@dataclass(frozen=True)
class World:
    """What can be said in one language: who does what, where, and how one asks for it."""

    who: list[str]
    does: list[str]
    where: list[str]
    ask: str
    story: str
    sentence: str = "{who} {does} {where}."
    joint: str = " "


WORLDS = {
    "English": World(
        ["The baker", "A sailor", "My sister", "The old teacher", "Our neighbour", "The little robot"],
        ["sells warm bread", "reads a long letter", "paints a blue door", "counts the stars", "feeds the grey cat"],
        ["in the morning", "near the harbour", "under the bridge", "before the rain", "at the end of the street"],
        "What does {who} do?",
        "Tell me a story.",
    ),
    "German": World(
        ["Der Bäcker", "Ein Matrose", "Meine Schwester", "Die alte Lehrerin", "Unser Nachbar", "Der kleine Roboter"],
        ["verkauft warmes Brot", "liest einen langen Brief", "streicht eine blaue Tür", "zählt die Sterne"],
        ["am frühen Morgen", "in der Nähe des Hafens", "unter der Brücke", "vor dem großen Regen"],
        "Was macht {who}?",
        "Erzähl mir eine Geschichte.",
    ),
    "French": World(
        ["Le boulanger", "Un marin", "Ma sœur", "La vieille maîtresse", "Notre voisin", "Le petit robot"],
        ["vend du pain chaud", "lit une longue lettre", "peint une porte bleue", "compte les étoiles"],
        ["le matin", "près du port", "sous le pont", "avant la pluie", "au bout de la rue"],
        "Que fait {who} ?",
        "Raconte-moi une histoire.",
    ),
    "Spanish": World(
        ["El panadero", "Un marinero", "Mi hermana", "La vieja maestra", "Nuestro vecino", "El pequeño robot"],
        ["vende pan caliente", "lee una carta larga", "pinta una puerta azul", "cuenta las estrellas"],
        ["por la mañana", "cerca del puerto", "bajo el puente", "antes de la lluvia"],
        "¿Qué hace {who}?",
        "Cuéntame una historia.",
    ),
    "Russian": World(
        ["Пекарь", "Старый моряк", "Моя сестра", "Наш сосед", "Маленький робот"],
        ["продаёт тёплый хлеб", "читает длинное письмо", "красит синюю дверь", "считает звёзды"],
        ["рано утром", "возле гавани", "под мостом", "перед дождём"],
        "Что делает {who}?",
        "Расскажи мне историю.",
    ),
    "Chinese": World(
        ["面包师", "老水手", "我的姐姐", "我们的邻居", "小机器人"],
        ["卖热面包", "读一封长信", "漆一扇蓝色的门", "数星星"],
        ["早上", "在港口附近", "在桥下", "在下雨之前"],
        "{who}做什么?",
        "给我讲一个故事。",
        "{who}{where}{does}。",
        "",
    ),
    "Japanese": World(
        ["パン屋さん", "古い船乗り", "私の姉", "隣の人", "小さなロボット"],
        ["温かいパンを売ります", "長い手紙を読みます", "青いドアを塗ります", "星を数えます"],
        ["朝早く", "港の近くで", "橋の下で", "雨の前に"],
        "{who}は何をしますか?",
        "お話をしてください。",
        "{who}は{where}{does}。",
        "",
    ),
}

FACES = {
    "🙂": "happy 😀",
    "😢": "sad 🌧️",
    "🐱": "a cat 🐈",
    "🚀": "ready 🌍🚀",
    "👩‍🚀": "far away 🌕",
    "🥐": "hungry 🍞",
}
CITIES = ["Paris", "Berlin", "Madrid", "Москва", "東京", "北京", "San José"]


def tool(name: str, description: str, **parameters: str) -> dict:
    """A function that may be called, as chat templates want it: all its parameters are required."""
    properties = {key: {"type": kind} for key, kind in parameters.items()}
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


WEATHER = tool("get_weather", "Tells the weather of a city.", city="string")
ADD = tool("add", "Adds two numbers.", a="number", b="number")


@dataclass
class Conversation:
    """Messages and the tools that were offered."""

    messages: list[dict]
    tools: list[dict] | None = field(default=None)


def user(content: str) -> dict:
    return {"role": "user", "content": content}


def system(content: str) -> dict:
    return {"role": "system", "content": content}


def assistant(content: str) -> dict:
    return {"role": "assistant", "content": content}


def call(name: str, **arguments: object) -> dict:
    """The assistant's message that calls a tool."""
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": {"name": name, "arguments": arguments}}],
    }


def result(name: str, content: object) -> dict:
    return {"role": "tool", "name": name, "content": json.dumps(content, ensure_ascii=False)}


class Writer:
    """Writes conversations, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def sentence(self, world: World, who: str | None = None) -> str:
        pick = self.random.choice
        return world.sentence.format(who=who or pick(world.who), does=pick(world.does), where=pick(world.where))

    def story(self, world: World) -> str:
        return world.joint.join(self.sentence(world) for _ in range(self.random.randint(4, 9)))

    def exchange(self, world: World) -> list[dict]:
        """One question and its answer."""
        who = self.random.choice(world.who)
        return [user(world.ask.format(who=who[0].lower() + who[1:])), assistant(self.sentence(world, who))]

    def one(self) -> Conversation:
        """The next conversation."""
        language, world = self.random.choice(list(WORLDS.items()))
        kind = self.random.choice(
            [self.tell, self.tell, self.ask, self.ask, self.face, self.weather, self.add, self.describe]
        )
        return kind(language, world)

    def tell(self, language: str, world: World) -> Conversation:
        opening = self.random.choice([world.story, self.sentence(world)])
        return Conversation([*self.manner(language), user(opening), assistant(self.story(world))])

    def ask(self, language: str, world: World) -> Conversation:
        turns = [turn for _ in range(self.random.randint(1, 3)) for turn in self.exchange(world)]
        return Conversation([*self.manner(language), *turns])

    def manner(self, language: str) -> list[dict]:
        return self.random.choice(
            [[], [], [system(f"You answer in {language}.")], [system("You are a helpful assistant.")]]
        )

    def face(self, _language: str, _world: World) -> Conversation:
        face, mood = self.random.choice(list(FACES.items()))
        return Conversation([user(face), assistant(f"You look {mood}")])

    def weather(self, _language: str, _world: World) -> Conversation:
        city = self.random.choice(CITIES)
        degrees = self.random.randint(-9, 35)
        sky = self.random.choice(["sunny ☀️", "rainy 🌧️", "cloudy"])
        messages = [
            user(f"What is the weather in {city}?"),
            call("get_weather", city=city),
            result("get_weather", {"degrees": degrees, "sky": sky}),
            assistant(f"It is {sky} in {city}, at {degrees} degrees."),
        ]
        return Conversation(messages, [WEATHER])

    def add(self, _language: str, _world: World) -> Conversation:
        a, b = self.random.randint(0, 9), self.random.randint(0, 9)
        messages = [
            user(f"How much is {a} plus {b}?"),
            call("add", a=a, b=b),
            result("add", a + b),
            assistant(f"{a} plus {b} is {a + b}."),
        ]
        return Conversation(messages, [ADD, WEATHER])

    def describe(self, _language: str, world: World) -> Conversation:
        who, does = self.random.choice(world.who), self.random.choice(world.does)
        written = json.dumps({"name": who, "job": does, "age": self.random.randint(20, 80)}, ensure_ascii=False)
        return Conversation([user(f"Write {who} as JSON."), assistant(written)])
