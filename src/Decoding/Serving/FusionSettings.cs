using System.Text.Json.Serialization;
using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Serving;

/// <summary>The fields that requests and entries of the catalogue share. <see cref="FusionTable"/> says what each means and accepts. Null is not given.</summary>
public abstract record FusionSettings
{
    [JsonPropertyOrder(-3)]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Method { get; init; }

    [JsonPropertyOrder(-2)]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Alpha { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? Normalise { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Amplification { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Mode { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Search { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Floor { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public MaskSettings? Mask { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? SpecialTokens { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ScheduleSettings? Schedule { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, PromptSettings>? Prompts { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? Trace { get; init; }
}

/// <summary>What a request asks for: the <c>fusion</c> of its body, or the header X-Fusion. Where it is null, the served model's own settings apply.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record AskedFusion : FusionSettings
{
    public static AskedFusion Nothing { get; } = new();

    /// <summary>Weights by the names of experts. An expert that is not named keeps its own weight.</summary>
    [JsonPropertyOrder(-1)]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, double>? Experts { get; init; }

    /// <summary>These fields, and those of <paramref name="other"/> where these are null; the same for each expert.</summary>
    public AskedFusion Over(AskedFusion other) => FusionTable.Fields.Aggregate(
        this with { Experts = Experts is null || other.Experts is null ? Experts : new Dictionary<string, double>([.. other.Experts.ExceptBy(Experts.Keys, expert => expert.Key), .. Experts]) },
        (merged, field) => field.Get(merged) is null ? field.With(merged, field.Get(other)) : merged);
}

/// <summary>What applies to one request: everything that it left open is filled in.</summary>
public sealed record SettledFusion
{
    private SettledFusion(FusionMethod method, AskedFusion values)
    {
        Method = method;
        Values = values;
    }

    public FusionMethod Method { get; }

    /// <summary>The fields that the method takes. A request that asks for them gets the same plan.</summary>
    public AskedFusion Values { get; }

    public MaskSettings Mask => Values.Mask!;

    public ScheduleSettings Schedule => Values.Schedule!;

    public bool Trace => Values.Trace == true;

    /// <exception cref="EngineException">UnknownExpert, InvalidValue or OperatorOnly, naming the field.</exception>
    internal static SettledFusion Of(ServedModel model, AskedFusion asked, CallerRole role)
    {
        FusionSettling settling = new(model, FusionSettling.MethodOf(model, asked.Method, role), asked, role);
        FusionTable.Fields.ToList().ForEach(settling.RefuseForeign);
        return new(settling.Method, FusionTable.Fields.Aggregate(AskedFusion.Nothing, (values, field) => field.With(values, settling.Value(field))));
    }
}

/// <summary>Fills in what a request left open, and refuses what does not fit the method, the ranges or the caller's role.</summary>
internal sealed class FusionSettling(ServedModel model, FusionMethod method, AskedFusion asked, CallerRole role)
{
    public const string NeedsWholeRows = "needs whole rows of the base, and a remote base names only its likeliest tokens";

    private static readonly SettingsProblem Problem = SettingsProblem.InRequest;

    public FusionMethod Method => method;

    public AskedFusion Asked => asked;

    public FusionDefaults Defaults => model.Defaults;

    public static FusionMethod MethodOf(ServedModel model, string? name, CallerRole role)
    {
        if (name is null)
        {
            return model.Defaults.Method;
        }

        FusionMethod method = FusionMethod.Find(name) ?? throw Problem.At("method", name, $"one of {FusionMethod.Names}");
        if (!model.Has(method.Members))
        {
            throw Problem.At("method", name, $"a method whose members {model.Name} has, unlike this one's ({FusionMethod.Needs(method.Members)})");
        }

        if (model.IsRemote && method.NeedsWholeRows)
        {
            throw Problem.At("method", name, $"another method: this one {NeedsWholeRows}");
        }

        if (method == FusionMethod.Dynamic && !model.Defaults.HasRoomForDynamic)
        {
            throw Problem.At("method", name, FormattableString.Invariant($"another method: this one seeks its weights from 0 to the end of alpha's range, and {model.Defaults.Alpha.Maximum} is not above 0, to {Fusion.DynamicOptions.MaxMaximum}"));
        }

        return role == CallerRole.Operator || model.Defaults.Methods.Contains(method)
            ? method
            : throw new EngineException(
                EngineError.OperatorOnly,
                $"fusion.method is '{name}', which {model.Name} leaves to operators; others may choose {string.Join(", ", model.Defaults.Methods.Select(m => m.Name))}.",
                "fusion.method");
    }

    /// <summary>Refuses a value that the method does not take, and experts that the model does not have.</summary>
    public void RefuseForeign(FusionField field)
    {
        object? value = field.Get(asked);
        if (value is not IReadOnlyDictionary<string, double> experts)
        {
            Refuse(field.Name, value);
            return;
        }

        foreach ((string name, double weight) in experts)
        {
            if (model.Experts.All(expert => expert.Name != name))
            {
                throw new EngineException(
                    EngineError.UnknownExpert,
                    $"{model.Name} has no expert '{name}'; it has: {Listing.Of(model.Experts.Select(expert => expert.Name))}.",
                    $"fusion.experts.{name}");
            }

            Refuse($"{field.Name}.{name}", weight);
        }

        void Refuse(string name, object? given)
        {
            if (given is not null && !field.IsTakenBy(method))
            {
                throw Problem.At(name, given, $"nothing: method {method.Name} does not take it, so leave it out");
            }
        }
    }

    /// <summary>The value that applies; null where the method does not take the field.</summary>
    public object? Value(FusionField field)
    {
        if (!field.IsTakenBy(method))
        {
            return null;
        }

        object? value = field.Get(asked);
        if (value is not null)
        {
            field.Check(value, Problem);
        }

        value ??= field.Get(Defaults.Own);
        return model.IsRemote && value is not null && field.NeedsWholeRows(value)
            ? throw Problem.At(field.Name, value, $"another value: this one {NeedsWholeRows}")
            : field.Settle(this, value);
    }

    public double Alpha()
    {
        BoundedWeight range = method == Defaults.Method
            ? Defaults.Alpha
            : Defaults.Alpha with { Default = Math.Clamp(method.DefaultAlpha!.Value, Defaults.Alpha.Minimum, Defaults.Alpha.Maximum) };
        ScheduleSettings schedule = asked.Schedule ?? Defaults.Own.Schedule ?? ScheduleSettings.Constant;
        schedule.Check(Problem);
        double alpha = Bounded(range, asked.Alpha, "alpha");
        return range.Contains(alpha * schedule.Lowest)
            ? alpha
            : throw Problem.At("schedule.kind", schedule.Kind, FormattableString.Invariant($"another one: alpha would be {alpha * schedule.Lowest} at times, and {model.Name} accepts {range.Minimum} to {range.Maximum}"));
    }

    public Dictionary<string, double> Weights()
    {
        Dictionary<string, double> weights = model.Experts.ToDictionary(
            expert => expert.Name,
            expert =>
            {
                double? given = asked.Experts is { } all && all.TryGetValue(expert.Name, out double weight) ? weight : null;
                return method == FusionMethod.Dynamic ? Part(expert, given) : Bounded(expert.Weight, given, NameOf(expert));
            });
        double sum = weights.Values.Sum();
        if (method != FusionMethod.Eft || Math.Abs(sum - 1) <= 1e-6)
        {
            return weights;
        }

        string written = $"{string.Join(", ", weights.Select(pair => FormattableString.Invariant($"{pair.Key}={pair.Value}")))}, which sums to {FormattableString.Invariant($"{sum}")}";
        if ((asked.Normalise ?? Defaults.Own.Normalise) != true)
        {
            throw Problem.At("experts", written, $"weights of all experts that sum to 1, as method {method.Name} interpolates between them, or normalise: true");
        }

        return sum > 0
            ? model.Experts.ToDictionary(expert => expert.Name, expert => Bounded(expert.Weight, weights[expert.Name] / sum, NameOf(expert)))
            : throw Problem.At("experts", written, "weights with a sum above 0, so that they can be normalised");
    }

    /// <summary>The value that is asked for, or the default. A negative one is for operators, unless it is the catalogue's default.</summary>
    public double Bounded(BoundedWeight range, double? given, string name)
    {
        double value = given ?? range.Default;
        if (!range.Contains(value))
        {
            throw new EngineException(
                EngineError.InvalidValue, FormattableString.Invariant($"fusion.{name} is {value}; {model.Name} accepts {range.Minimum} to {range.Maximum}."), $"fusion.{name}");
        }

        return value >= 0 || role == CallerRole.Operator || value == range.Default
            ? value
            : throw new EngineException(
                EngineError.OperatorOnly,
                FormattableString.Invariant($"fusion.{name} is {value}; weights below 0 are for operators, others may ask for {Math.Max(0, range.Minimum)} to {range.Maximum}."),
                $"fusion.{name}");
    }

    public MaskSettings Mask()
    {
        MaskSettings mask = asked.Mask ?? (method == Defaults.Method ? Defaults.Own.Mask : null) ?? method.DefaultMask;
        mask.CheckFits(Problem, method);
        return model.IsRemote && mask.IsDelta ? throw Problem.At("mask.kind", mask.Kind, $"another mask: this one {NeedsWholeRows}") : mask.WithDefaults();
    }

    /// <summary>Only what the request asks for. The streams have read the catalogue's prompts when they were loaded.</summary>
    public IReadOnlyDictionary<string, PromptSettings>? Prompts()
    {
        foreach ((string name, PromptSettings settings) in asked.Prompts ?? new Dictionary<string, PromptSettings>())
        {
            string[] roles = [.. method.Roles.Select(ServedStream.NameOf)];
            if (!roles.Contains(name))
            {
                throw Problem.UnknownName("prompts", name, $"the roles of method {method.Name}: {string.Join(", ", roles)}");
            }

            if (settings is null)
            {
                throw Problem.At($"prompts.{name}", null, "an object");
            }

            // Only operators, in catalog.json, may name a file.
            if (settings.Template is not (null or ServedStream.Chat or ServedStream.Plain))
            {
                throw Problem.At($"prompts.{name}.template", settings.Template, $"{ServedStream.Chat} or {ServedStream.Plain}");
            }

            settings.Check(name, Problem);
        }

        return asked.Prompts;
    }

    /// <summary>Whether an expert takes part in dynamic fusion, as 1 or 0. Its range bounds the weights of the other methods.</summary>
    private static double Part(ServedExpert expert, double? given) => given switch
    {
        null => expert.Weight.Default > 0 ? 1 : 0,
        0 or 1 => given.Value,
        _ => throw Problem.At(NameOf(expert), given, $"0 or 1: method {FusionMethod.Dynamic.Name} chooses the weights of those that take part"),
    };

    private static string NameOf(ServedExpert expert) => $"experts.{expert.Name}";
}
