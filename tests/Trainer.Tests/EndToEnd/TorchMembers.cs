using ProxyTune.Decoding.Text;
using ProxyTune.Trainer.Training;

namespace ProxyTune.Trainer.Tests.EndToEnd;

/// <summary>Runs the models of the demo family with the trainer's decoder instead of the server's.</summary>
internal sealed class TorchMembers(string folder) : IDisposable
{
    private readonly Dictionary<string, LlamaModel> models = [];

    /// <summary>The prompt of a model for a conversation, from its chat template or as plain text without one.</summary>
    public int[] Read(string member, IReadOnlyList<ChatMessage> messages)
    {
        using Tokenizer tokenizer = Tokenizer.Load(Path.Combine(folder, member));
        return new PromptReader(tokenizer, ChatTemplate.TryLoad(Path.Combine(folder, member))).Read(messages);
    }

    /// <summary>The rows after the prompt and after each token of the answer except the last.</summary>
    public double[][] Rows(string member, int[] prompt, int[] answer, int width)
    {
        if (!models.TryGetValue(member, out LlamaModel? model))
        {
            models[member] = model = ModelFolder.Load(Path.Combine(folder, member), trainable: false);
        }

        int[] text = [.. prompt, .. answer[..^1]];
        float[] logits = Tiny.Logits(model, text);
        return [.. logits.Chunk(logits.Length / text.Length).Skip(prompt.Length - 1).Select(row => row.Take(width).Select(score => (double)score).ToArray())];
    }

    public void Dispose()
    {
        foreach (LlamaModel model in models.Values)
        {
            model.Dispose();
        }
    }
}
