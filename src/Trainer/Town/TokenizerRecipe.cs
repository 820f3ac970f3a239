using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Trainer.Data;

namespace ProxyTune.Trainer.Town;

/// <summary>Trains the family's tokenizer and writes it with its chat template and the ids that end an answer.</summary>
internal static class TokenizerRecipe
{
    private static readonly JsonSerializerOptions Json = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <param name="documents">A document source, see <see cref="TownData.Documents"/>.</param>
    /// <param name="count">The number of documents to train on.</param>
    /// <param name="vocabularySize">The number of ids, including special tokens and the 256 bytes.</param>
    /// <param name="contextLength">Written as model_max_length.</param>
    public static void Run(string documents, int count, int vocabularySize, int contextLength, string folder)
    {
        Func<long, string> write = TownData.Documents(documents);
        JsonObject tokenizer = BpeTrainer.Train(Enumerable.Range(0, count).Select(i => write(i)), Chat.SpecialTokens, vocabularySize);
        JsonObject config = new()
        {
            ["tokenizer_class"] = "PreTrainedTokenizerFast",
            ["eos_token"] = Chat.EndOfText,
            ["pad_token"] = Chat.EndOfText,
            ["clean_up_tokenization_spaces"] = false,
            ["model_max_length"] = contextLength,
            ["chat_template"] = Chat.Template,
        };
        string[] ends = [Chat.EndOfTurn, Chat.EndOfText];
        JsonObject generation = new() { ["eos_token_id"] = new JsonArray([.. ends.Select(end => (JsonNode)Array.IndexOf(Chat.SpecialTokens, end))]) };
        Directory.CreateDirectory(folder);
        Write(FileNames.TokenizerConfig, config);
        Write(FileNames.GenerationConfig, generation);
        Write(FileNames.Tokenizer, tokenizer);

        void Write(string name, JsonObject content) => File.WriteAllText(Path.Combine(folder, name), content.ToJsonString(Json) + "\n");
    }
}
