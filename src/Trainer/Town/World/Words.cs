namespace ProxyTune.Trainer.Town;

/// <summary>The vocabulary of the town. No value starts with a vowel, so the article "a" is always right.</summary>
internal static class Words
{
    public static readonly string[] WomenNames = Split(
        "Ada Alma Anna Clara Cora Dora Edith Ella Flora Greta Hazel Iris June Laura Lily Mabel Mara Nell Nora Olive Pearl Rosa Ruth Tilda Vera Wanda");

    public static readonly string[] MenNames = Split(
        "Albert Amos Basil Carl Cyril Edgar Felix Frank George Henry Hugo Ivan Jasper Karl Leo Martin Ned Oscar Otto Paul Ralph Simon Theo Victor Walter Wilfred");

    public static readonly string[] LastNames = Split(
        "Abbot Ashby Barlow Bell Birch Blake Bolton Brook Burton Carver Clay Cobb Cole Cooper Crane Cross Dale Dawson Drake Ellwood " +
        "Farrow Fenton Finch Fletcher Ford Fox Frost Garner Gates Gill Glover Grant Graves Hale Hardy Hart Hayes Heath Hobbs Holt " +
        "Horn Hurst Kemp Kent Kirby Knight Lamb Lane Larkin Lever Lowe Marsh Mason Mercer Moss Nash North Page Parry Peck " +
        "Perch Pike Pond Potts Quill Reed Rowe Rudd Sands Sharp Shaw Sloane Snow Stone Stubbs Swift Tanner Thorne Tuck Vane " +
        "Wade Walsh Ward Webb West Wilde Winter Wood Wren Yates");

    public static readonly string[] Jobs = Split(
        "baker barber blacksmith bookbinder butcher carpenter clockmaker cook dentist doctor farmer ferryman " +
        "florist gardener glassblower hatter judge librarian miller musician painter pilot potter shepherd");

    public static readonly string[] Streets = List(
        "Mill Lane, Harbour Street, Church Road, Market Square, Station Road, Castle Hill, River Walk, Garden Row, Bridge Street, Forest Path, " +
        "Granary Court, Copper Row, Chapel Lane, Quarry Road, Meadow Drive, Lantern Alley, Windmill Rise, Tower Street, Pond Lane, Saddler Yard");

    public static readonly string[] Pets = Split(
        "cat dog goat parrot rabbit tortoise pony hen duck ferret hamster canary lizard donkey goose pigeon");

    public static readonly string[] Foods = List(
        "plum cake, fried fish, cheese toast, rice pudding, lemon tart, mushroom pie, bean salad, honey bread, " +
        "roast chicken, potato soup, cherry jam, walnut bread, pancakes, tomato stew, ginger cake, baked pears");

    public static readonly string[] Hobbies = Split(
        "chess fishing dancing knitting sketching sailing singing skating juggling cycling reading rowing swimming wrestling hiking gardening");

    public static readonly string[] Fears = List(
        "thunder, spiders, heights, deep water, the dark, snakes, crowds, fire, mice, bees, mirrors, clowns, fog, needles, bats, ghosts");

    public static readonly string[] Colours = Split("red blue green yellow white black grey purple brown pink");

    public static readonly string[] PlaceFirst = Split("Copper Silver Golden Crooked Sleepy Merry Broken Little Jolly Quiet");

    public static readonly string[] PlaceSecond = Split("Kettle Lantern Anchor Crown Barrel Wheel Candle Feather Button Spoon");

    public static readonly string[] PlaceKinds = Split("tavern bakery shop museum workshop school theatre library market chapel");

    /// <summary>The private facts of places.</summary>
    public static readonly string[] Secrets = List(
        "a hidden cellar, a leaking roof, a locked room, a false wall, a buried chest, a broken clock, a stolen painting, a secret tunnel");

    public static readonly string[] Days = Split("Monday Tuesday Wednesday Thursday Friday Saturday Sunday");

    private static string[] Split(string text) => text.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    private static string[] List(string text) => text.Split(", ", StringSplitOptions.RemoveEmptyEntries);
}
