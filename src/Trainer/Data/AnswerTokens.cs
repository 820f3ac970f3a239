using ProxyTune.Decoding.Text;
using ProxyTune.Trainer.Settings;

namespace ProxyTune.Trainer.Data;

/// <summary>The token ids of an example for one model.</summary>
/// <param name="Prompt">The rendered conversation up to the answer.</param>
/// <param name="Answer">The answer and the token that ends it; the only tokens with a loss.</param>
/// <param name="Keep">See <see cref="Example"/>.</param>
internal sealed record AnswerTokens(int[] Prompt, int[] Answer, bool Keep = false)
{
    /// <summary>The number of positions that go through the model. The last token is only a target.</summary>
    public int Length => Prompt.Length + Answer.Length - 1;
}

/// <summary>Encodes examples into the token ids that the served model will read.</summary>
internal sealed class AnswerTokenizer(PromptReader reader, int endOfAnswer)
{
    public AnswerTokens[] Encode(IReadOnlyList<Example> examples, string source, int context)
    {
        AnswerTokens[] all = examples.Select(example => new AnswerTokens(reader.Read(example.Messages), [.. reader.Tokenizer.EncodeRendered(example.Answer), endOfAnswer], example.Keep)).ToArray();
        foreach ((int index, AnswerTokens? tokens) in all.Index())
        {
            if (tokens.Length > context || tokens.Prompt.Length == 0)
            {
                throw new TrainingException($"data '{source}', example {index}: {tokens.Prompt.Length} prompt and {tokens.Answer.Length} answer tokens; accepted are 1 or more prompt tokens, and {context + 1} in all.");
            }
        }

        return all;
    }
}
