using System.Text.Json;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Gateway.Experts;

/// <summary>Checks tokenizer.json before the native library reads it.</summary>
internal static class TokenizerCheck
{
    // Steps before and after the model. Several steps that each replace a character by many would make any text arbitrarily long.
    private const int MaxSteps = 16;

    private static readonly string[] Models = ["BPE", "Unigram", "WordPiece", "WordLevel"];

    /// <param name="words">Size of the model's vocabulary. Every token id must be below it.</param>
    /// <exception cref="EngineException">InvalidExpert, naming the entry.</exception>
    public static void Check(string folder, int words)
    {
        if (!File.Exists(Path.Combine(folder, FileNames.Tokenizer)))
        {
            throw Wrong("is missing.");
        }

        using JsonDocument json = JsonCheck.Read(folder, FileNames.Tokenizer);
        JsonElement root = json.RootElement;
        if (!root.TryGetProperty("model", out JsonElement model) || model.ValueKind != JsonValueKind.Object || !model.TryGetProperty("vocab", out JsonElement vocabulary))
        {
            throw Wrong("has no model with a vocab.");
        }

        if (model.TryGetProperty("type", out JsonElement type) && !Models.Contains(type.ToString()))
        {
            throw Wrong($"has the model type '{UploadName.Printable(type.ToString())}'; accepted are {string.Join(", ", Models)}.");
        }

        CheckIds(root, vocabulary, words);
        foreach (JsonProperty part in root.EnumerateObject().Where(part => part.Name is "normalizer" or "pre_tokenizer" or "post_processor" or "decoder"))
        {
            CheckPart(part);
        }
    }

    private static void CheckIds(JsonElement root, JsonElement vocabulary, int words)
    {
        IEnumerable<JsonElement> ids = vocabulary.ValueKind == JsonValueKind.Object ? vocabulary.EnumerateObject().Select(token => token.Value) : [];
        IEnumerable<JsonElement> added = root.TryGetProperty("added_tokens", out JsonElement tokens) && tokens.ValueKind == JsonValueKind.Array
            ? tokens.EnumerateArray().Select(token => token.ValueKind == JsonValueKind.Object && token.TryGetProperty("id", out JsonElement id) ? id : default)
            : [];
        HashSet<int> taken = [];
        foreach (JsonElement id in ids)
        {
            if (!taken.Add(Id(id, words)))
            {
                throw Wrong($"has two tokens with the id {id}.");
            }
        }

        foreach (JsonElement id in added)
        {
            Id(id, words);
        }

        if (vocabulary.ValueKind == JsonValueKind.Array && vocabulary.GetArrayLength() > words)
        {
            throw Wrong($"has {vocabulary.GetArrayLength()} tokens; the model has {words}.");
        }
    }

    private static int Id(JsonElement json, int words) => json.ValueKind == JsonValueKind.Number && json.TryGetInt32(out int id) && id >= 0 && id < words
        ? id
        : throw Wrong($"has a token with the id {UploadName.Printable(json.ToString())}; accepted are 0 to {words - 1}, as the model has them.");

    private static void CheckPart(JsonProperty part)
    {
        int steps = 0;
        foreach (JsonProperty property in JsonCheck.Properties(part.Value))
        {
            if (property.Name == "Regex" && !KnownPatterns.Contain(property.Value.ToString()))
            {
                throw Wrong($"has the regular expression '{UploadName.Printable(property.Value.ToString())}', which no known tokenizer has; a malicious one would block the server.");
            }

            if (property.Name is "content" or "prepend" or "replacement" && part.Name != "post_processor" && property.Value.ToString().Length > 1)
            {
                throw Wrong($"has {property.Name} '{UploadName.Printable(property.Value.ToString())}' in {part.Name}; accepted is a single character.");
            }

            steps += property.Name == "type" ? 1 : 0;
        }

        if (steps > MaxSteps)
        {
            throw Wrong($"has {steps} steps in {part.Name}; accepted are at most {MaxSteps}.");
        }
    }

    private static EngineException Wrong(string what) => UploadName.Refused(FileNames.Tokenizer, what);
}
