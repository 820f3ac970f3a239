using System.Text.Json;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Gateway.Experts;

/// <summary>Checks genai_config.json: the files that it names, and that it loads no libraries.</summary>
internal static class GenAiCheck
{
    private const int MaxLayers = 1024, MaxContext = 1 << 24, MaxWords = 1 << 22;

    // Entries of onnxruntime-genai that load libraries of operators or execution providers, or models of several parts.
    private static readonly string[] Refused = ["library", "custom_op", "plugin", "config_entries", "path"];

    private static readonly string[] Parts = ["pipeline", "encoder", "embedding", "vision", "speech"];

    /// <exception cref="EngineException">InvalidExpert or InvalidModelFolder, naming the entry.</exception>
    public static GenAiConfig Check(string folder)
    {
        using (JsonDocument json = JsonCheck.Read(folder, FileNames.GenAiConfig))
        {
            foreach (JsonProperty property in JsonCheck.Properties(json.RootElement))
            {
                Check(property);
            }
        }

        GenAiConfig config = GenAiConfig.Read(folder);
        AtMost(MaxLayers, config.Layers, "num_hidden_layers");
        AtMost(MaxContext, config.ContextLength, "context_length");
        AtMost(MaxWords, config.VocabularySize, "vocab_size");
        return config;
    }

    private static void Check(JsonProperty property)
    {
        string value = UploadName.Printable(property.Value.ToString());
        if (property.Name.StartsWith("ep_", StringComparison.OrdinalIgnoreCase) || Refused.Any(word => property.Name.Contains(word, StringComparison.OrdinalIgnoreCase)))
        {
            throw Wrong($"has the entry '{UploadName.Printable(property.Name)}' ({value}); operators and providers from files are not accepted.");
        }

        if (property.Name == "provider_options" && (property.Value.ValueKind != JsonValueKind.Array || property.Value.GetArrayLength() > 0))
        {
            throw Wrong($"has provider_options {value}; accepted is [].");
        }

        if (Parts.Contains(property.Name))
        {
            throw Wrong($"has a part '{property.Name}'; accepted is a decoder alone.");
        }

        if (property.Name == "filename" && (property.Value.ValueKind != JsonValueKind.String || !IsGraph(property.Value.GetString()!)))
        {
            throw Wrong($"has the filename '{value}'; accepted is the name of an .onnx file in the folder.");
        }
    }

    private static bool IsGraph(string name) => name.EndsWith(".onnx", StringComparison.Ordinal) && !name.Contains('/') && !name.Contains('\\') && UploadName.IsKept(name);

    private static void AtMost(int max, int value, string name)
    {
        if (value > max)
        {
            throw Wrong($"has {name} {value}; accepted are at most {max}.");
        }
    }

    private static EngineException Wrong(string what) => UploadName.Refused(FileNames.GenAiConfig, what);
}
