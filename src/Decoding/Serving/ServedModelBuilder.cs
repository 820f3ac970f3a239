using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Decoding.Serving;

/// <summary>Builds a served model from an entry: loads its members and checks that they fit each other and the method.</summary>
internal sealed class ServedModelBuilder(string modelsFolder, LoadedModels members)
{
    /// <param name="entry">Checked by <see cref="CatalogCheck"/>.</param>
    /// <param name="source">Where the entry comes from.</param>
    public ServedModel Build(ServedModelEntry entry, EntrySource source)
    {
        EntryLabel label = source.Label(entry.Name!);
        CheckPrompts(entry.Prompts, ServedStream.RoleNames, label);
        (LoadedModel baseMember, ServedPatch? patch) = Base(entry, label);
        ServedStream baseStream = Stream(baseMember, StreamRole.Base, "base", entry.Prompts, null, label) with { Patch = patch };
        ServedExpert[] experts = [.. (entry.Experts ?? []).Select(expert => Expert(expert, entry.Prompts, baseMember, label))];
        ServedStream? amateur = entry.Amateur is null
            ? null
            : Stream(Fitting(entry.Amateur, baseMember, label), StreamRole.AntiExpert, "amateur", entry.Prompts, null, label);
        FusionDefaults defaults = Defaults(entry, label);
        ServedModel model = new(entry.Name!, entry.Description ?? "", baseStream, experts, amateur, defaults) { IsForOperators = entry.OperatorsOnly == true };
        CheckMethods(model, label);
        CheckUse(entry, defaults, label);
        CheckMemory(model, label);
        return model;
    }

    private (LoadedModel Member, ServedPatch? Patch) Base(ServedModelEntry entry, EntryLabel label)
    {
        if (entry.Base!.Remote is not { } remote)
        {
            return members.Get(entry.Base.Folder!, label, entry.Patches ?? []);
        }

        return entry.Patches is { Count: > 0 }
            ? throw label.Wrong("patches is given; accepted only for a base in a model folder, and this one runs elsewhere.")
            : (members.Get(remote, new(modelsFolder, label)), null);
    }

    private static FusionDefaults Defaults(ServedModelEntry entry, EntryLabel label)
    {
        FusionMethod own = Method(entry.Method ?? FusionMethod.None.Name, "method");
        FusionMethod[] offered = [.. (entry.Methods ?? []).Select(name => Method(name, "methods")).Prepend(own).Distinct()];
        foreach (FusionField field in FusionTable.Fields)
        {
            if (field.Get(entry) is { } value)
            {
                field.Check(value, label.Problem);
            }
        }

        BoundedWeight alpha = Alpha(entry, own, label);
        return new FusionDefaults(
            own,
            offered,
            entry,
            alpha,
            CatalogCheck.Weight(label, "amplification", entry.Amplification, entry.AmplificationRange, FusionDefaults.UsualAmplification, FusionDefaults.UsualAmplification, FusionDefaults.UsualMaxAmplification),
            CatalogCheck.Weight(label, "floor", entry.Floor, null, 0, 0, Math.Max(0, alpha.Maximum)));

        FusionMethod Method(string? name, string field) =>
            FusionMethod.Find(name) ?? throw label.Wrong($"{field} has '{name}'; accepted are {FusionMethod.Names}.");
    }

    private static BoundedWeight Alpha(ServedModelEntry entry, FusionMethod own, EntryLabel label)
    {
        double usual = own.DefaultAlpha ?? BoundedWeight.UsualDefault;
        return CatalogCheck.Weight(label, "alpha", entry.Alpha, entry.AlphaRange, usual, usualMaximum: Math.Max(usual, BoundedWeight.UsualMaximum));
    }

    /// <summary>Every method that requests may choose must have its members, and the entry's own settings must work as they are.</summary>
    private static void CheckMethods(ServedModel model, EntryLabel label)
    {
        if (model.Defaults.Methods.Contains(FusionMethod.Dynamic) && !model.Defaults.HasRoomForDynamic)
        {
            throw label.Wrong(FormattableString.Invariant($"alpha_range ends at {model.Defaults.Alpha.Maximum}; method '{FusionMethod.Dynamic.Name}' seeks its weights from 0 to there, so it must be above 0, to {DynamicOptions.MaxMaximum}."));
        }

        foreach (FusionMethod method in model.Defaults.Methods)
        {
            if (!model.Has(method.Members))
            {
                throw label.Wrong($"method '{method.Name}' needs {FusionMethod.Needs(method.Members)}.");
            }

            if (model.IsRemote && method.NeedsWholeRows)
            {
                throw label.Wrong($"method '{method.Name}' {FusionSettling.NeedsWholeRows}.");
            }
        }

        if (model.Defaults.Methods.All(method => method.Members is MethodMembers.None or MethodMembers.BaseWithoutContext) && model.Experts.Count > 0)
        {
            throw label.Wrong($"method '{model.Defaults.Method.Name}' takes no experts, and methods offers none that does.");
        }

        try
        {
            model.Plan(AskedFusion.Nothing);
        }
        catch (EngineException error)
        {
            throw label.Wrong($"its own settings cannot be served: {error.Message}");
        }
    }

    /// <summary>A field that no method of the entry uses is a mistake.</summary>
    private static void CheckUse(ServedModelEntry entry, FusionDefaults defaults, EntryLabel label)
    {
        if (defaults.Method == FusionMethod.Dynamic && entry.Experts?.FirstOrDefault(expert => expert.Weight is not (null or 0 or 1)) is { } weighed)
        {
            throw label.Wrong(FormattableString.Invariant($"expert '{weighed.Name}' has weight {weighed.Weight}; method '{FusionMethod.Dynamic.Name}' solves for weights, and takes 1 or 0: whether the expert takes part."));
        }

        foreach (FusionField field in FusionTable.Fields.Where(field => !defaults.Methods.Any(field.IsTakenBy)))
        {
            if (field.Get(entry) is { } value)
            {
                throw label.Problem.At(field.Name, value, $"nothing: of the methods {string.Join(", ", defaults.Methods.Select(method => method.Name))} none takes it, only '{string.Join("', '", FusionMethod.All.Where(field.IsTakenBy).Select(method => method.Name))}'");
            }
        }
    }

    /// <summary>All sequences of an answer that fills the context must fit into the memory. Otherwise it would wait for ever.</summary>
    private void CheckMemory(ServedModel model, EntryLabel label)
    {
        ServedStream[] streams = [.. model.Plan(AskedFusion.Nothing).Streams.DistinctBy(stream => (stream.Model, stream.Patch?.Hash))];
        if (streams.CountBy(stream => stream.Model).MaxBy(count => count.Value) is var most && most.Value > members.Options.MaxSequences)
        {
            throw label.Wrong($"an answer needs {most.Value} sequences of '{most.Key.Info.Name}', and {nameof(EngineOptions.MaxSequences)} is {members.Options.MaxSequences}; it must be at least {most.Value}.");
        }

        KeyValueNeed.Of(streams.Select(stream => (stream.Model.Info, model.ContextLength))).Require($"one context of '{model.Name}'");
    }

    private ServedExpert Expert(ExpertEntry entry, IReadOnlyDictionary<string, PromptSettings>? prompts, LoadedModel baseMember, EntryLabel label)
    {
        EntryLabel expertLabel = label.Expert(entry.Name);
        CheckPrompts(entry.Prompts, ServedStream.RoleNames.Skip(1), expertLabel);
        (LoadedModel tuned, ServedPatch? patch) = members.Get(entry.Model!, expertLabel, entry.Patches ?? []);
        return new ServedExpert(
            entry.Name!,
            CatalogCheck.Weight(expertLabel, "weight", entry.Weight, entry.WeightRange),
            Stream(Fitting(tuned, entry.Model!, baseMember, expertLabel), StreamRole.Expert, entry.Name!, prompts, entry.Prompts, expertLabel) with { Patch = patch },
            entry.AntiExpert is { } anti ? Stream(Fitting(anti, baseMember, expertLabel), StreamRole.AntiExpert, $"{entry.Name} anti", prompts, entry.Prompts, expertLabel) : null);
    }

    private ServedStream Stream(
        LoadedModel member, StreamRole role, string name, IReadOnlyDictionary<string, PromptSettings>? ofModel, IReadOnlyDictionary<string, PromptSettings>? ofExpert, EntryLabel label)
    {
        ServedStream stream = new(member, role, name, new PromptReader(member.Tokenizer, member.Template));
        PromptSettings settings = (ofExpert?.GetValueOrDefault(stream.RoleName) ?? new PromptSettings()).Over(ofModel?.GetValueOrDefault(stream.RoleName));
        return stream with { Reader = settings.ToReader(member.Tokenizer, Template(member, settings.Template, label)) };
    }

    private static void CheckPrompts(IReadOnlyDictionary<string, PromptSettings>? prompts, IEnumerable<string> roles, EntryLabel label)
    {
        foreach ((string role, PromptSettings settings) in prompts ?? new Dictionary<string, PromptSettings>())
        {
            if (!roles.Contains(role) || settings is null)
            {
                throw label.Wrong($"prompts has '{role}'; accepted is an object for each of {string.Join(", ", roles)}.");
            }

            settings.Check(role, label.Problem);
        }
    }

    /// <summary>Compares vocabularies token by token. Their sizes say little: they are padded, and different ones may be equally large.</summary>
    private LoadedModel Fitting(string name, LoadedModel baseMember, EntryLabel label) => Fitting(members.Get(name, label), name, baseMember, label);

    private static LoadedModel Fitting(LoadedModel member, string name, LoadedModel baseMember, EntryLabel label) =>
        baseMember.Tokenizer.SameVocabulary(member.Tokenizer)
            ? member
            : throw label.Wrong($"model folder '{name}' has another tokenizer than the base '{Path.GetFileName(baseMember.Folder)}'; the token ids must mean the same.");

    private ChatTemplate? Template(LoadedModel member, string? name, EntryLabel label)
    {
        try
        {
            return name switch
            {
                ServedStream.Plain => null,
                // The member's own template has the right renderer. Load throws if there is none.
                ServedStream.Chat => member.Template ?? ChatTemplate.Load(member.Folder),

                // A base that was not tuned to chat has no template and reads plain text.
                null => member.Template,
                _ => ChatTemplate.Parse(ReadFile(name, label), member.Folder),
            };
        }
        catch (EngineException error) when (error.Error == EngineError.InvalidModelFolder)
        {
            throw new EngineException(error.Error, $"{label}: template '{name ?? ServedStream.Chat}': {error.Message}", label.Name, error);
        }
    }

    private string ReadFile(string name, EntryLabel label)
    {
        string path = Path.Combine(modelsFolder, name);
        return name.EndsWith(".jinja", StringComparison.Ordinal) && Path.GetFileName(name) == name && File.Exists(path)
            ? File.ReadAllText(path)
            : throw label.Wrong($"the template '{name}' is not '{ServedStream.Chat}', '{ServedStream.Plain}' or a .jinja file in {modelsFolder}.");
    }
}
