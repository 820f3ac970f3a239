using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Decoding.Serving;

/// <summary>Fills in what a request left open, and refuses what does not fit the method, the ranges or the asker.</summary>
internal sealed class SettingsResolver(ServedModel model, CallerRole role)
{
    private static readonly SettingsProblem Problem = SettingsProblem.InRequest;

    public const string NeedsWholeRows = "needs whole rows of the base, and a remote base names only its likeliest tokens";

    private FusionDefaults Defaults => model.Defaults;

    public (FusionMethod Method, FusionSettings Settled) Settle(FusionSettings asked)
    {
        FusionMethod method = Method(asked.Method);
        RefuseForeign(asked, method);
        MaskSettings mask = asked.Mask ?? (method == Defaults.Method ? Defaults.Mask : null) ?? method.DefaultMask;
        mask.Check(Problem, method);
        if (model.IsRemote && mask.Kind == MaskSettings.DeltaKind)
        {
            throw Problem.At("mask.kind", mask.Kind, $"another mask: this one {NeedsWholeRows}");
        }

        ScheduleSettings schedule = asked.Schedule ?? Defaults.Schedule;
        schedule.Check(Problem);
        double? alpha = method.DefaultAlpha is { } usual ? Alpha(asked.Alpha, usual, method, schedule) : null;
        CheckPrompts(asked.Prompts, method);
        return (method, new FusionSettings
        {
            Method = method.Name,
            Alpha = alpha,
            Experts = method.Members is MethodMembers.Pairs or MethodMembers.Rewards ? Weights(asked, method) : null,
            Normalise = asked.Normalise,
            Amplification = method == FusionMethod.Eft ? Bounded(Defaults.Amplification, asked.Amplification, "amplification") : null,
            Mode = method == FusionMethod.Dynamic ? OneOf(asked.Mode, Defaults.Mode, "mode", FusionDefaults.SingleMode, FusionDefaults.JointMode) : null,
            Search = method == FusionMethod.Dynamic ? OneOf(asked.Search, Defaults.Search, "search", FusionDefaults.ClosedFormSearch, FusionDefaults.GridSearch) : null,
            Floor = method == FusionMethod.Dynamic ? Bounded(Defaults.Floor, asked.Floor, "floor") : null,
            Mask = mask,
            Schedule = schedule,
            Prompts = asked.Prompts,
            Trace = asked.Trace,
        });
    }

    private FusionMethod Method(string? name)
    {
        if (name is null)
        {
            return Defaults.Method;
        }

        FusionMethod method = FusionMethod.Find(name) ?? throw Problem.At("method", name, $"one of {FusionMethod.Names}");
        if (!model.Has(method.Members))
        {
            throw Problem.At("method", name, $"a method whose members {model.Name} has, unlike this one's ({Needs(method.Members)})");
        }

        if (model.IsRemote && method.NeedsWholeRows)
        {
            throw Problem.At("method", name, $"another method: this one {NeedsWholeRows}");
        }

        if (method == FusionMethod.Dynamic && !Defaults.HasRoomForDynamic)
        {
            throw Problem.At("method", name, FormattableString.Invariant($"another method: this one seeks its weights from 0 to where alpha may end, and {Defaults.Alpha.Maximum} is not above 0, to {DynamicOptions.MaxMaximum}"));
        }

        return role == CallerRole.Operator || Defaults.Methods.Contains(method)
            ? method
            : throw new EngineException(
                EngineError.OperatorOnly,
                $"fusion.method is '{name}', which {model.Name} leaves to operators; others may choose {string.Join(", ", Defaults.Methods.Select(m => m.Name))}.",
                "fusion.method");
    }

    public static string Needs(MethodMembers members) => members switch
    {
        MethodMembers.Pairs => "experts with anti-experts",
        MethodMembers.Rewards => "experts trained as portable rewards, without anti-experts",
        _ => "an amateur",
    };

    private void RefuseForeign(FusionSettings asked, FusionMethod method)
    {
        Foreign(asked.Alpha, "alpha", method.DefaultAlpha is null);
        Foreign(asked.Amplification, "amplification", method != FusionMethod.Eft);
        Foreign(asked.Normalise, "normalise", method != FusionMethod.Eft);
        Foreign(asked.Mode, "mode", method != FusionMethod.Dynamic);
        Foreign(asked.Search, "search", method != FusionMethod.Dynamic);
        Foreign(asked.Floor, "floor", method != FusionMethod.Dynamic);
        foreach (string name in asked.Experts?.Keys ?? [])
        {
            if (model.Experts.All(expert => expert.Name != name))
            {
                throw new EngineException(
                    EngineError.UnknownExpert,
                    $"{model.Name} has no expert '{name}'; it has: {(model.Experts.Count == 0 ? "none" : string.Join(", ", model.Experts.Select(expert => expert.Name)))}.",
                    $"fusion.experts.{name}");
            }

            Foreign(asked.Experts![name], $"experts.{name}", method.Members is not (MethodMembers.Pairs or MethodMembers.Rewards));
        }

        void Foreign(object? value, string field, bool isForeign)
        {
            if (value is not null && isForeign)
            {
                throw Problem.At(field, value, $"nothing: method {method.Name} does not take it, so leave it out");
            }
        }
    }

    private double Alpha(double? asked, double usual, FusionMethod method, ScheduleSettings schedule)
    {
        BoundedWeight range = method == Defaults.Method
            ? Defaults.Alpha
            : Defaults.Alpha with { Default = Math.Clamp(usual, Defaults.Alpha.Minimum, Defaults.Alpha.Maximum) };
        double alpha = Bounded(range, asked, "alpha");
        return range.Contains(alpha * schedule.Lowest)
            ? alpha
            : throw Problem.At("schedule.kind", schedule.Kind, FormattableString.Invariant($"another one: alpha would be {alpha * schedule.Lowest} at times, and {model.Name} accepts {range.Minimum} to {range.Maximum}"));
    }

    private Dictionary<string, double> Weights(FusionSettings asked, FusionMethod method)
    {
        Dictionary<string, double> weights = model.Experts.ToDictionary(
            expert => expert.Name,
            expert =>
            {
                double? given = asked.Experts is { } all && all.TryGetValue(expert.Name, out double weight) ? weight : null;
                return method == FusionMethod.Dynamic ? Part(expert, given) : Bounded(expert.Weight, given, Field(expert));
            });
        double sum = weights.Values.Sum();
        if (method != FusionMethod.Eft || Math.Abs(sum - 1) <= 1e-6)
        {
            return weights;
        }

        string written = $"{string.Join(", ", weights.Select(pair => FormattableString.Invariant($"{pair.Key}={pair.Value}")))}, which sums to {FormattableString.Invariant($"{sum}")}";
        if (asked.Normalise != true)
        {
            throw Problem.At("experts", written, $"weights of all experts that sum to 1, as method {method.Name} interpolates between them, or normalise: true");
        }

        return sum > 0
            ? model.Experts.ToDictionary(expert => expert.Name, expert => Bounded(expert.Weight, weights[expert.Name] / sum, Field(expert)))
            : throw Problem.At("experts", written, "weights with a sum above 0, so that they can be normalised");
    }

    /// <summary>Whether an expert takes part in dynamic fusion, as 1 or 0. Its range bounds a weight that others than dynamic fusion use.</summary>
    private static double Part(ServedExpert expert, double? asked) => asked switch
    {
        null => expert.Weight.Default > 0 ? 1 : 0,
        0 or 1 => asked.Value,
        _ => throw Problem.At(Field(expert), asked, $"0 or 1: method {FusionMethod.Dynamic.Name} chooses the weights of those that take part"),
    };

    private static string Field(ServedExpert expert) => $"experts.{expert.Name}";

    /// <summary>The asked value, or the default where none is asked. Below 0 only what the catalog itself says, or an operator.</summary>
    private double Bounded(BoundedWeight range, double? asked, string field)
    {
        double value = asked ?? range.Default;
        if (!range.Contains(value))
        {
            throw new EngineException(
                EngineError.InvalidValue, FormattableString.Invariant($"fusion.{field} is {value}; {model.Name} accepts {range.Minimum} to {range.Maximum}."), $"fusion.{field}");
        }

        return value >= 0 || role == CallerRole.Operator || value == range.Default
            ? value
            : throw new EngineException(
                EngineError.OperatorOnly,
                FormattableString.Invariant($"fusion.{field} is {value}; weights below 0 are for operators, others may ask for {Math.Max(0, range.Minimum)} to {range.Maximum}."),
                $"fusion.{field}");
    }

    private static string OneOf(string? asked, string otherwise, string field, params ReadOnlySpan<string> accepted) =>
        asked is null ? otherwise
        : accepted.Contains(asked) ? asked
        : throw Problem.At(field, asked, string.Join(" or ", accepted.ToArray()));

    private static void CheckPrompts(IReadOnlyDictionary<string, PromptSettings>? prompts, FusionMethod method)
    {
        foreach ((string role, PromptSettings settings) in prompts ?? new Dictionary<string, PromptSettings>())
        {
            string[] roles = [.. method.Roles.Select(ServedStream.NameOf)];
            if (!roles.Contains(role))
            {
                throw Problem.At("prompts", role, $"an object with {string.Join(", ", roles)}, which are the roles of method {method.Name}");
            }

            if (settings is null)
            {
                throw Problem.At($"prompts.{role}", null, "an object");
            }

            // A file beside catalog.json is the operator's to name, not a client's.
            if (settings.Template is not (null or ServedStream.Chat or ServedStream.Plain))
            {
                throw Problem.At($"prompts.{role}.template", settings.Template, $"{ServedStream.Chat} or {ServedStream.Plain}");
            }

            settings.Check(role, Problem);
        }
    }
}
