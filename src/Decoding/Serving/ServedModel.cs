using System.Security.Cryptography;
using System.Text;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Import;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Decoding.Serving;

/// <summary>One name under which clients reach a base and its experts. Immutable, thread-safe.</summary>
public sealed class ServedModel
{
    internal ServedModel(string name, string description, ServedStream baseStream, IReadOnlyList<ServedExpert> experts, ServedStream? amateur, FusionDefaults defaults)
    {
        Name = name;
        Description = description;
        BaseStream = baseStream;
        Experts = experts;
        Amateur = amateur;
        Defaults = defaults;
        Tokenizer = baseStream.Member.Tokenizer;
        Created = baseStream.Member.Written;
        ModelInfo[] members = [.. Streams.Select(stream => stream.Model.Info)];
        ContextLength = members.Min(member => member.ContextLength);
        VocabularySize = members.Min(member => Math.Min(member.VocabularySize, Tokenizer.VocabularySize));
        Fingerprint = FingerprintOf(defaults.Method.Name, Streams.Select(stream => stream.Hash));
    }

    public string Name { get; }

    public string Description { get; }

    /// <summary>The settings that apply where a request gives none, and the ranges of what it may ask for.</summary>
    public FusionDefaults Defaults { get; }

    /// <summary>Whether clients do not see it.</summary>
    public bool IsForOperators { get; internal init; }

    /// <summary>Empty for a base alone.</summary>
    public IReadOnlyList<ServedExpert> Experts { get; }

    /// <summary>When the base's folder was written; for a remote base, its tokenizer's.</summary>
    public DateTimeOffset Created { get; }

    /// <summary>fp_ and 16 hex digits made of all member hashes and the method; OpenAI's system_fingerprint.</summary>
    public string Fingerprint { get; }

    /// <summary>The smallest context among the members.</summary>
    public int ContextLength { get; }

    /// <summary>Tokens that the tokenizer and every member know.</summary>
    public int VocabularySize { get; }

    /// <summary>The base's; all members share its vocabulary.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>Whether the base runs behind a network and names only its likeliest tokens.</summary>
    public bool IsRemote => BaseStream.Model.Info.IsRemote;

    /// <summary>Where the base came from, if it was imported; else null.</summary>
    public ImportRecord? Origin => BaseStream.Member.Origin;

    /// <summary>Whether the base has a chat template of its own.</summary>
    public bool HasChatTemplate => BaseStream.Member.Template is not null;

    internal ServedStream BaseStream { get; }

    internal UseCount Uses { get; } = new();

    /// <summary>Keeps the model's members in memory, also when it is retired meanwhile.</summary>
    /// <returns>Dispose it when the request has ended.</returns>
    /// <exception cref="EngineException">UnknownModel: it was retired, and its members may be gone.</exception>
    public IDisposable Use() => Uses.TryUse()
        ?? throw new EngineException(EngineError.UnknownModel, $"'{Name}' has just been retired.", "model");

    /// <summary>The smaller model of contrastive decoding, where there is one.</summary>
    internal ServedStream? Amateur { get; }

    internal IEnumerable<ServedStream> Streams =>
        [BaseStream, .. Experts.SelectMany(expert => new[] { expert.Tuned, expert.Anti }).OfType<ServedStream>(), .. Amateur is null ? [] : new[] { Amateur }];

    /// <summary>Settles the fusion of one request.</summary>
    /// <param name="role">Operators may use negative weights and methods that are not offered to clients.</param>
    /// <exception cref="EngineException">UnknownExpert, InvalidValue or OperatorOnly, naming the field (<c>fusion.alpha</c>, <c>fusion.experts.NAME</c>), the value and what would be accepted.</exception>
    public ServedPlan Plan(AskedFusion asked, CallerRole role = CallerRole.Client) => new PlanBuilder(this, SettledFusion.Of(this, asked, role)).Build();

    /// <summary>Whether the members that a method needs are there.</summary>
    internal bool Has(MethodMembers members) => members switch
    {
        MethodMembers.Pairs => Experts.Count > 0 && Experts.All(expert => expert.Anti is not null),
        MethodMembers.Rewards => Experts.Count > 0 && Experts.All(expert => expert.Anti is null),
        MethodMembers.Amateur => Amateur is not null,
        _ => true,
    };

    private static string FingerprintOf(string method, IEnumerable<string> members)
    {
        byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', members.Prepend(method))));
        return $"fp_{Convert.ToHexStringLower(hash)[..16]}";
    }
}

/// <summary>An expert of a served model, with the model that it is compared to.</summary>
public sealed class ServedExpert
{
    internal ServedExpert(string name, BoundedWeight weight, ServedStream tuned, ServedStream? anti)
    {
        Name = name;
        Weight = weight;
        Tuned = tuned;
        Anti = anti;
    }

    /// <summary>Its name in requests.</summary>
    public string Name { get; }

    /// <summary>Multiplied by alpha.</summary>
    public BoundedWeight Weight { get; }

    internal ServedStream Tuned { get; }

    /// <summary>Null for a portable reward.</summary>
    internal ServedStream? Anti { get; }
}

/// <summary>A member in one role of a served model, and how it reads a conversation there.</summary>
/// <param name="Name">Its name in a trace.</param>
/// <param name="Reader">Reads conversations as the catalogue says.</param>
internal sealed record ServedStream(LoadedModel Member, StreamRole Role, string Name, PromptReader Reader)
{
    public const string Chat = "chat";
    public const string Plain = "plain";

    public ILanguageModel Model { get; } = Member.Model;

    /// <summary>What is added to the model's weights for this stream, or null.</summary>
    public ServedPatch? Patch { get; init; }

    /// <summary>The hash of everything that its rows depend on.</summary>
    public string Hash => Patch is null ? Model.Info.Hash : $"{Model.Info.Hash} {Patch.Hash}";

    /// <summary>The role's name in requests and in the catalogue.</summary>
    public string RoleName => NameOf(Role);

    public static IReadOnlyList<string> RoleNames { get; } = [NameOf(StreamRole.Base), NameOf(StreamRole.Expert), NameOf(StreamRole.AntiExpert)];

    /// <summary>The reader with what a request asks for this role.</summary>
    public PromptReader ReaderFor(IReadOnlyDictionary<string, PromptSettings>? asked)
    {
        if (asked is null || !asked.TryGetValue(RoleName, out PromptSettings? settings))
        {
            return Reader;
        }

        ChatTemplate? template = settings.Template switch
        {
            null => Reader.Template,
            Plain => null,
            _ => Member.Template ?? throw SettingsProblem.InRequest.At(
                $"prompts.{RoleName}.template", settings.Template, $"'{Plain}': '{Model.Info.Name}' has no chat template"),
        };
        return Reader with
        {
            Template = template,
            System = settings.System ?? Reader.System,
            AssistantPrefix = settings.AssistantPrefix ?? Reader.AssistantPrefix,
            Examples = settings.Examples ?? Reader.Examples,
        };
    }

    public static string NameOf(StreamRole role) => role switch
    {
        StreamRole.Expert => "expert",
        StreamRole.AntiExpert => "anti_expert",
        _ => "base",
    };
}
