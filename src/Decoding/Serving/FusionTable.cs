using System.Globalization;

namespace ProxyTune.Decoding.Serving;

/// <summary>A row of the table of fusion fields.</summary>
/// <param name="Name">In requests and in catalog.json.</param>
/// <param name="Get">The field's value; null where it is not given.</param>
/// <param name="With">Sets the field.</param>
internal sealed record FusionField(string Name, Func<FusionSettings, object?> Get, Func<AskedFusion, object?, AskedFusion> With)
{
    /// <summary>Type and range, in words.</summary>
    public required string Accepts { get; init; }

    /// <summary>What applies where neither request nor catalogue gives a value, in words.</summary>
    public required string Default { get; init; }

    public required string Meaning { get; init; }

    /// <summary>The methods that take the field. The others refuse it.</summary>
    public Func<FusionMethod, bool> IsTakenBy { get; init; } = _ => true;

    /// <summary>Reads the value of the short form NAME=VALUE; gives null for an unreadable text. Null if the field has no short form.</summary>
    public Func<string, object?>? Parse { get; init; }

    /// <summary>Checks what does not depend on model and method.</summary>
    public Action<object, SettingsProblem> Check { get; init; } = (_, _) => { };

    /// <summary>Whether a value needs whole rows of the base, which a remote base does not give.</summary>
    public Func<object, bool> NeedsWholeRows { get; init; } = _ => false;

    /// <summary>From the value that the request gives, or else the catalogue, to the value that applies.</summary>
    public Func<FusionSettling, object?, object?> Settle { get; init; } = (_, given) => given;

    /// <summary>The names of the methods that take the field, or all.</summary>
    public string Methods => FusionMethod.All.All(IsTakenBy) ? "all" : string.Join(", ", FusionMethod.All.Where(IsTakenBy).Select(method => method.Name));

    /// <summary>The row in a sentence or two, for the API's description.</summary>
    public string Describe() => $"{Meaning}. Accepts {Accepts}. Default: {Default}. Methods: {Methods}.";
}

/// <summary>
/// Every field of fusion, one row each. Reading the short form, merging, refusing, filling in, writing and describing a field go through its row,
/// so a new field is a property of <see cref="FusionSettings"/> and a row here. docs/decoding.md prints the table.
/// </summary>
internal static class FusionTable
{
    private const NumberStyles WithoutSpaces = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;

    public static IReadOnlyList<FusionField> Fields { get; } =
    [
        new("method", settings => settings.Method, (asked, value) => asked with { Method = (string?)value })
        {
            Accepts = "a method that the served model offers",
            Default = "the served model's",
            Meaning = "how the streams are combined",
            Parse = text => text,
            Settle = (settling, _) => settling.Method.Name,
        },
        new("alpha", settings => settings.Alpha, (asked, value) => asked with { Alpha = (double?)value })
        {
            Accepts = "a number in the served model's alpha_range",
            Default = "the served model's; with another method, that method's",
            Meaning = "the strength of the method",
            Parse = Number,
            IsTakenBy = method => method.DefaultAlpha is not null,
            Settle = (settling, _) => settling.Alpha(),
        },
        new("experts", settings => (settings as AskedFusion)?.Experts, (asked, value) => asked with { Experts = (IReadOnlyDictionary<string, double>?)value })
        {
            Accepts = "an object from an expert's name to a number in its weight_range; 0 or 1 for dynamic",
            Default = "each expert's own weight",
            Meaning = "the weights of experts; in the short form, each expert's name is a field",
            IsTakenBy = method => method.TakesExperts,
            Settle = (settling, _) => settling.Weights(),
        },
        new("amplification", settings => settings.Amplification, (asked, value) => asked with { Amplification = (double?)value })
        {
            Accepts = "a number in the served model's amplification_range",
            Default = "1, or the served model's",
            Meaning = "g, the factor of the difference between the base and the anti-expert",
            Parse = Number,
            IsTakenBy = method => method == FusionMethod.Eft,
            Settle = (settling, _) => settling.Bounded(settling.Defaults.Amplification, settling.Asked.Amplification, "amplification"),
        },
        new("normalise", settings => settings.Normalise, (asked, value) => asked with { Normalise = (bool?)value })
        {
            Accepts = "true or false",
            Default = "false",
            Meaning = "whether the experts' weights are divided by their sum, which must otherwise be 1",
            Parse = Truth,
            IsTakenBy = method => method == FusionMethod.Eft,
        },
        Choice("mode", settings => settings.Mode, (asked, value) => asked with { Mode = value }, method => method == FusionMethod.Dynamic, [FusionDefaults.SingleMode, FusionDefaults.JointMode], FusionDefaults.JointMode, "one expert for each token, or a weight for each expert"),
        Choice("search", settings => settings.Search, (asked, value) => asked with { Search = value }, method => method == FusionMethod.Dynamic, [FusionDefaults.ClosedFormSearch, FusionDefaults.GridSearch], FusionDefaults.ClosedFormSearch, "how the weights are found; grid tries the paper's 21 points"),
        new("floor", settings => settings.Floor, (asked, value) => asked with { Floor = (double?)value })
        {
            Accepts = "a number from 0 to the end of alpha_range",
            Default = "0",
            Meaning = "the smallest weight that the method gives",
            Parse = Number,
            IsTakenBy = method => method == FusionMethod.Dynamic,
            Settle = (settling, _) => settling.Bounded(settling.Defaults.Floor, settling.Asked.Floor, "floor"),
        },
        new("mask", settings => settings.Mask, (asked, value) => asked with { Mask = (MaskSettings?)value })
        {
            Accepts = "an object with kind and that kind's fields",
            Default = "the served model's; with another method, that method's",
            Meaning = "which tokens remain candidates",
            Check = (value, problem) => ((MaskSettings)value).Check(problem),
            Settle = (settling, _) => settling.Mask(),
        },
        Choice("special_tokens", settings => settings.SpecialTokens, (asked, value) => asked with { SpecialTokens = value }, method => method.Members != MethodMembers.None, [FusionDefaults.FusedSpecialTokens, FusionDefaults.BaseSpecialTokens], FusionDefaults.FusedSpecialTokens, "whether the tokenizer's special tokens are fused like all others or keep the base's own probability") with
        {
            NeedsWholeRows = value => value is FusionDefaults.BaseSpecialTokens,
        },
        new("schedule", settings => settings.Schedule, (asked, value) => asked with { Schedule = (ScheduleSettings?)value })
        {
            Accepts = "an object with kind and that kind's fields",
            Default = "kind constant",
            Meaning = "how the strength changes along the answer",
            Check = (value, problem) => ((ScheduleSettings)value).Check(problem),
            Settle = (_, given) => ((ScheduleSettings?)given ?? ScheduleSettings.Constant).WithDefaults(),
        },
        new("prompts", settings => settings.Prompts, (asked, value) => asked with { Prompts = (IReadOnlyDictionary<string, PromptSettings>?)value })
        {
            Accepts = "an object from a role (base, expert, anti_expert) to an object with template, system, assistant_prefix, examples",
            Default = "the served model's",
            Meaning = "how the streams of a role read the conversation",
            Settle = (settling, _) => settling.Prompts(),
        },
        new("trace", settings => settings.Trace, (asked, value) => asked with { Trace = (bool?)value })
        {
            Accepts = "true or false",
            Default = "false",
            Meaning = "whether the answer explains every token",
            Parse = Truth,
        },
    ];

    /// <summary>The fields with a short form NAME=VALUE. Experts have it too, so an expert must have another name.</summary>
    public static IReadOnlyList<string> ShortNames { get; } = [.. Fields.Where(field => field.Parse is not null).Select(field => field.Name)];

    /// <summary>Reads a number, such as an expert's weight, from the short form.</summary>
    public static Func<string, object?> Number => text => double.TryParse(text, WithoutSpaces, CultureInfo.InvariantCulture, out double number) ? number : null;

    private static FusionField Choice(
        string name, Func<FusionSettings, string?> get, Func<AskedFusion, string?, AskedFusion> with, Func<FusionMethod, bool> isTakenBy, string[] accepted, string usual, string meaning)
    {
        string words = string.Join(" or ", accepted);
        return new(name, get, (asked, value) => with(asked, (string?)value))
        {
            Accepts = words,
            Default = usual,
            Meaning = meaning,
            Parse = text => text,
            IsTakenBy = isTakenBy,
            Check = (value, problem) => _ = accepted.Contains(value) ? 0 : throw problem.At(name, value, words),
            Settle = (_, given) => given ?? usual,
        };
    }

    private static Func<string, object?> Truth => text => text switch { "true" => true, "false" => false, _ => null };
}
