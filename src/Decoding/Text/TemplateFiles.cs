using System.Text;
using System.Text.Json;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Decoding.Text;

/// <summary>The chat templates and special tokens of a model folder, as transformers 5 finds them.</summary>
/// <param name="Default">The template's text.</param>
/// <param name="WithTools">The template for requests with tools, if the folder has one of its own.</param>
/// <param name="Path">Where the template stands, for messages.</param>
/// <param name="Tokens">Special tokens by the names of their variables. One that the folder does not name is undefined in a template, not empty.</param>
internal sealed record TemplateFiles(string Default, string? WithTools, string Path, IReadOnlyDictionary<string, object> Tokens)
{
    /// <summary>Folder with further templates, each a file NAME.jinja.</summary>
    public const string Folder = "additional_chat_templates";

    private const string DefaultName = "default", ToolsName = "tool_use";

    private static readonly string[] TokenNames = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

    /// <summary>
    /// chat_template.jinja as the default and the files of <see cref="Folder"/> by name; where there are none, the entry chat_template of tokenizer_config.json:
    /// a text, or a list of named texts.
    /// </summary>
    /// <returns>Null when the folder has no template.</returns>
    /// <exception cref="EngineException">InvalidModelFolder: tokenizer_config.json is broken, or there are templates but none named default.</exception>
    public static TemplateFiles? Find(string folder)
    {
        string path = System.IO.Path.Combine(folder, FileNames.ChatTemplate), more = System.IO.Path.Combine(folder, Folder);
        string config = System.IO.Path.Combine(folder, FileNames.TokenizerConfig);
        Dictionary<string, string> named = [];
        IReadOnlyDictionary<string, object> tokens = SpecialTokens(folder);
        if (File.Exists(path))
        {
            named[DefaultName] = Text(path);
        }

        foreach (string file in Directory.Exists(more) ? Directory.GetFiles(more, "*.jinja") : [])
        {
            named[System.IO.Path.GetFileNameWithoutExtension(file)] = Text(file);
        }

        if (named.Count == 0)
        {
            path = config;
            named = Read(config, InConfig) ?? [];
        }

        return named.Count == 0 ? null
            : named.TryGetValue(DefaultName, out string? text) ? new(text, named.GetValueOrDefault(ToolsName), path, tokens)
            : throw EngineException.InFile(path, $"chat templates {string.Join(", ", named.Keys.Order(StringComparer.Ordinal))}, but none named {DefaultName}.");
    }

    /// <summary>The special tokens that tokenizer_config.json names, or else special_tokens_map.json.</summary>
    public static IReadOnlyDictionary<string, object> SpecialTokens(string folder)
    {
        Dictionary<string, object> tokens = Read(System.IO.Path.Combine(folder, FileNames.SpecialTokens), TokensIn) ?? [];
        foreach ((string name, object token) in Read(System.IO.Path.Combine(folder, FileNames.TokenizerConfig), TokensIn) ?? [])
        {
            tokens[name] = token;
        }

        return tokens;
    }

    // Python keeps a byte order mark as a character of the template.
    private static string Text(string path) => new UTF8Encoding(encoderShouldEmitUTF8Identifier: false).GetString(File.ReadAllBytes(path));

    private static T? Read<T>(string path, Func<JsonElement, T?> read)
        where T : class
    {
        if (!File.Exists(path))
        {
            return null;
        }

        try
        {
            using JsonDocument document = JsonDocument.Parse(JsonFile.Bytes(path));
            return read(document.RootElement);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            throw EngineException.InFile(path, error.Message, inner: error);
        }
    }

    private static Dictionary<string, string>? InConfig(JsonElement config) =>
        !config.TryGetProperty("chat_template", out JsonElement template) || template.ValueKind == JsonValueKind.Null ? null
        : template.ValueKind == JsonValueKind.String ? new() { [DefaultName] = template.GetString()! }
        : template.EnumerateArray().ToDictionary(entry => entry.GetProperty("name").GetString()!, entry => entry.GetProperty("template").GetString()!);

    private static Dictionary<string, object> TokensIn(JsonElement config)
    {
        Dictionary<string, object> tokens = [];
        foreach (string name in TokenNames)
        {
            if (config.TryGetProperty(name, out JsonElement token) && (token.ValueKind == JsonValueKind.Object ? token.GetProperty("content") : token) is { ValueKind: not JsonValueKind.Null } text
                && text.GetString() is { Length: > 0 } value)
            {
                tokens[name] = value;
            }
        }

        return tokens;
    }
}
