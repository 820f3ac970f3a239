using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Data.Town;

namespace ProxyTune.Trainer.Recipes;

/// <summary>Learns the family's one tokenizer and writes tokenizer.json and tokenizer_config.json, chat template included.</summary>
internal static class TokenizerRecipe
{
    private static readonly JsonSerializerOptions s_json = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <param name="documents">A document source, see <see cref="TownData.Documents"/>.</param>
    /// <param name="count">How many of its documents to learn from.</param>
    /// <param name="vocabularySize">Ids in all, special tokens and the 256 bytes included.</param>
    /// <param name="contextLength">Written as model_max_length.</param>
    public static void Run(string documents, int count, int vocabularySize, int contextLength, string folder)
    {
        var write = TownData.Documents(documents);
        var tokenizer = BpeTrainer.Train(Enumerable.Range(0, count).Select(i => write(i)), Chat.SpecialTokens, vocabularySize);
        var config = new JsonObject
        {
            ["tokenizer_class"] = "PreTrainedTokenizerFast",
            ["eos_token"] = Chat.EndOfText,
            ["pad_token"] = Chat.EndOfText,
            ["clean_up_tokenization_spaces"] = false,
            ["model_max_length"] = contextLength,
            ["chat_template"] = Chat.Template,
        };
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), config.ToJsonString(s_json) + "\n");
        // Last, since its presence says that the stage is done.
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), tokenizer.ToJsonString(s_json) + "\n");
    }
}
