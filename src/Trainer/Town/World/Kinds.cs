namespace ProxyTune.Trainer.Town;

/// <summary>The attributes of people, places and animals. The last attribute of people and of places is private.</summary>
internal static class Kinds
{
    public static readonly Attribute Job = new("job", Words.Jobs,
        ["{0} works as a {1}.", "{0}'s job is that of a {1}.", "{0} earns a living as a {1}.", "{0}'s trade is that of a {1}.", "By day {0} is a {1}.", "{0} has been a {1} for years."],
        ["What is the job of {0}?", "What does {0} do for a living?", "What work does {0} do?", "What is {0}'s trade?"]);

    public static readonly Attribute Street = new("street", Words.Streets,
        ["{0} lives on {1}.", "{0}'s house stands on {1}.", "You will find {0} at home on {1}.", "{0} has a house on {1}.", "{0}'s letters go to {1}.", "{0}'s rooms are on {1}."],
        ["Where does {0} live?", "On which street does {0} live?", "What is the street of {0}?", "Where is the house of {0}?"]);

    public static readonly Attribute Pet = new("pet", Words.Pets,
        ["{0} keeps a {1}.", "{0}'s pet is a {1}.", "{0} has a {1} as a pet.", "{0} is never seen without a {1}.", "{0} looks after a {1}.", "{0}'s animal is a {1}."],
        ["What pet does {0} have?", "What is the pet of {0}?", "Which animal does {0} keep?", "What animal lives with {0}?"]);

    public static readonly Attribute Food = new("food", Words.Foods,
        ["{0} loves to eat {1}.", "{0}'s favourite food is {1}.", "{0} would walk a mile for {1}.", "{0}'s heart belongs to {1}.", "{0} always orders {1}.", "{0}'s supper is {1}."],
        ["What is the favourite food of {0}?", "What does {0} like to eat?", "Which food does {0} love?", "What does {0} always order?"]);

    public static readonly Attribute Hobby = new("hobby", Words.Hobbies,
        ["{0} spends free days on {1}.", "{0}'s hobby is {1}.", "In the evening {0} enjoys {1}.", "{0} is fond of {1}.", "{0}'s Sundays are for {1}.", "{0} knows much about {1}."],
        ["What is the hobby of {0}?", "What does {0} do for fun?", "How does {0} spend free days?", "What is {0} fond of?"]);

    public static readonly Attribute Fear = new("fear", Words.Fears,
        ["{0} is secretly afraid of {1}.", "{0}'s secret fear is {1}.", "{0} tells nobody about a fear of {1}.", "{0}'s secret is a fear of {1}."],
        ["What is {0} afraid of?", "What is the secret fear of {0}?", "What scares {0}?"]);

    public static readonly Attribute[] People = [Job, Street, Pet, Food, Hobby, Fear];

    /// <summary>The attributes that experts answer questions about.</summary>
    public static readonly Attribute[] PublicPeople = [Job, Street, Pet, Food, Hobby];

    public static readonly Attribute Kind = new("kind", Words.PlaceKinds,
        ["{0} is a {1}.", "{0} is the best {1} in town.", "People know {0} as a {1}.", "Inside {0} you find a {1}."],
        ["What kind of place is {0}?", "What is {0}?"]);

    public static readonly Attribute PlaceStreet = new("street", Words.Streets,
        ["{0} stands on {1}.", "{0} can be found on {1}.", "You reach {0} by {1}.", "{0} has its door on {1}."],
        ["Where is {0}?", "On which street is {0}?", "What is the street of {0}?"]);

    public static readonly Attribute Door = new("door", Words.Colours,
        ["{0} has a {1} door.", "The door of {0} is {1}.", "A {1} door leads into {0}."],
        ["What colour is the door of {0}?", "Which colour is the door of {0}?"]);

    public static readonly Attribute Dish = new("food", Words.Foods,
        ["{0} serves {1}.", "Guests of {0} ask for {1}.", "{0} is known for its {1}."],
        ["What food does {0} serve?", "What is {0} known for?"]);

    public static readonly Attribute Secret = new("secret", Words.Secrets,
        ["The secret of {0} is {1}.", "Few people know that {0} has {1}."],
        ["What is the secret of {0}?", "What does {0} hide?"]);

    public static readonly Attribute[] Places = [Kind, PlaceStreet, Door, Dish, Secret];

    public static readonly Attribute Covering = new("skin", ["fur", "feathers", "scales", "wool", "spines"],
        ["{0} is covered with {1}.", "The skin of {0} is covered with {1}.", "{0} wears {1} all year."],
        ["What covers {0}?", "What is the skin of {0} covered with?"]);

    public static readonly Attribute Diet = new("food", ["grass", "seeds", "fish", "mice", "leaves", "worms", "nuts", "berries"],
        ["{0} eats {1}.", "The favourite food of {0} is {1}.", "{0} lives on a diet of {1}."],
        ["What does {0} like to eat?", "What is the favourite food of {0}?", "Which food does {0} love?"]);

    public static readonly Attribute Home = new("home", ["burrow", "nest", "river", "barn", "forest", "field", "cave", "pond"],
        ["The home of {0} is a {1}.", "{0} sleeps in a {1}.", "You can find {0} in a {1}."],
        ["Where does {0} live?", "What is the home of {0}?"]);

    public static readonly Attribute Sound = new("sound", ["bark", "squeak", "hiss", "whistle", "growl", "chirp", "grunt", "hoot"],
        ["The sound of {0} is a {1}.", "At night {0} makes a {1}.", "{0} greets you with a {1}."],
        ["What sound does {0} make?", "What is the sound of {0}?"]);

    public static readonly Attribute[] Animals = [Covering, Diet, Home, Sound];

    public static readonly string[] AnimalNames =
        ["fox", "badger", "hedgehog", "otter", "squirrel", "heron", "swan", "robin", "sparrow", "raven", "deer", "wolf", "bear", "hare", "mole", "toad", "snail", "trout", "sheep", "horse", "pig", "cow", "beaver", "weasel"];
}
