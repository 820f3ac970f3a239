using System.Text.Json;
using ProxyTune.Checkpoints.Formats;
using HuggingFaceTokenizer = Tokenizers.DotNet.Tokenizer;

namespace ProxyTune.Decoding.Text;

/// <summary>Hugging Face's own tokenizer for a tokenizer.json.</summary>
internal static class NativeTokenizer
{
    /// <summary>The native library takes its settings from the file and from nowhere else, so what shall not apply is left out of a copy.</summary>
    public static HuggingFaceTokenizer Create(TokenizerFile file, bool withPostProcessor)
    {
        string[] unwanted = withPostProcessor ? ["truncation", "padding"] : ["truncation", "padding", "post_processor"];
        byte[] bytes = JsonFile.Bytes(file.Path);
        using JsonDocument document = JsonDocument.Parse(bytes);
        JsonProperty[] properties = document.RootElement.EnumerateObject().ToArray();
        bool hasByteOrderMark = bytes.Length < FileLength.Of(file.Path);
        if (!hasByteOrderMark && !properties.Any(p => unwanted.Contains(p.Name) && p.Value.ValueKind != JsonValueKind.Null))
        {
            return new HuggingFaceTokenizer(file.Path);
        }

        string copy = Path.GetTempFileName();
        try
        {
            using (FileStream stream = File.Create(copy))
            using (Utf8JsonWriter json = new(stream))
            {
                json.WriteStartObject();
                foreach (JsonProperty property in properties.Where(p => !unwanted.Contains(p.Name)))
                {
                    property.WriteTo(json);
                }

                json.WriteEndObject();
            }

            return new HuggingFaceTokenizer(copy);
        }
        finally
        {
            File.Delete(copy);
        }
    }
}
