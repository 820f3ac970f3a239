using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Decoding.Serving;

/// <summary>A member in one role of a served model, and how it reads a conversation there.</summary>
/// <param name="Name">What a trace calls it.</param>
/// <param name="Reader">As the catalog says.</param>
internal sealed record ServedStream(LoadedModel Member, StreamRole Role, string Name, PromptReader Reader)
{
    public const string Chat = "chat";
    public const string Plain = "plain";

    public ILanguageModel Model => Member.Model;

    /// <summary>What is added to the model's weights for this stream, or null.</summary>
    public ServedPatch? Patch { get; init; }

    /// <summary>Of everything that makes its rows.</summary>
    public string Hash => Patch is null ? Model.Info.Hash : $"{Model.Info.Hash} {Patch.Hash}";

    /// <summary>How requests and the catalog call the role.</summary>
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
