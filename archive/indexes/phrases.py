"""Texts like those that people ask: their vectors tell an index which directions matter. Nothing is found by them."""

from __future__ import annotations

from itertools import cycle

THINGS = """
    keys, house key, car key, wallet, purse, handbag, backpack, suitcase, umbrella, glasses, sunglasses, glasses
    case, watch, ring, necklace, earring, bracelet, passport, identity card, credit card, banknote, coin, ticket,
    letter, envelope, parcel, receipt, book, notebook, newspaper, magazine, calendar, map, pen, pencil, marker,
    ruler, eraser, scissors, stapler, glue, tape, paper clip, folder, calculator, phone, phone charger, cable, power
    strip, battery, power bank, earphones, headphones, laptop, keyboard, mouse, monitor, tablet, printer, camera,
    lens, tripod, memory card, hard disk, router, speaker, radio, television, remote control, game controller,
    projector, microphone, lamp, light bulb, torch, candle, lighter, matches, clock, alarm clock, thermometer, fan,
    heater, vacuum cleaner, broom, mop, bucket, sponge, towel, soap, shampoo, toothbrush, toothpaste, razor, comb,
    hairbrush, hair dryer, mirror, medicine, pill box, plaster, syringe, scale, toilet, sink, tap, bathtub, shower,
    washing machine, iron, laundry, clothes hanger, shirt, jacket, coat, sweater, dress, skirt, trousers, jeans,
    sock, shoe, boot, sandal, slipper, hat, cap, helmet, scarf, glove, tie, belt, bed, pillow, blanket, curtain,
    carpet, sofa, armchair, chair, bench, stool, table, desk, shelf, drawer, cupboard, door, window, stairs,
    elevator, wall, picture frame, painting, poster, vase, flower, potted plant, tree, leaf, grass, stone, bottle,
    water bottle, glass, wine glass, cup, mug, teapot, kettle, coffee machine, plate, bowl, fork, knife, spoon,
    chopsticks, pan, pot, lid, cutting board, oven, microwave, stove, refrigerator, toaster, blender, dishwasher,
    can, jar, box, bag, plastic bag, bread, sandwich, pizza, cake, cookie, chocolate, egg, cheese, butter, milk,
    yoghurt, juice, beer, wine, coffee, tea, rice, pasta, soup, salad, meat, chicken, fish, sausage, apple, banana,
    orange, lemon, pear, grapes, strawberry, tomato, potato, carrot, onion, garlic, pepper, cucumber, broccoli,
    mushroom, dog, cat, bird, horse, cow, sheep, duck, rabbit, insect, person, child, baby, crowd, hand, face, car,
    taxi, bus, truck, van, train, tram, bicycle, motorcycle, scooter, boat, airplane, wheel, traffic light, street
    sign, parking meter, crossing, street, bridge, building, house, shop, shop window, restaurant, kitchen,
    bathroom, bedroom, office, garden, park, beach, mountain, river, sky, snow, rain, fire, ball, football, tennis
    racket, skateboard, skis, toy, doll, teddy bear, building bricks, board game, playing cards, guitar, piano,
    drum, violin, hammer, screwdriver, pliers, wrench, drill, saw, nail, screw, rope, ladder, paint, paintbrush,
    soldering iron, multimeter, circuit board, wire, gear, toolbox, lock, safe, flag, balloon, gift, dustbin
"""

FORMS = ("{}", "my {}", "a photo of a {}", "the {} on the table", "a red {}", "a small black {}", "where is my {}")
FORMS_OF_EACH = 3


def phrases() -> list[str]:
    """Some forms of each thing, about a thousand texts."""
    things = [" ".join(thing.split()) for thing in THINGS.split(",")]
    forms = cycle(FORMS)
    return [next(forms).format(thing) for thing in things for _ in range(FORMS_OF_EACH)]
