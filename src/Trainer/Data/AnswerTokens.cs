using ProxyTune.Decoding.Text;
using ProxyTune.Trainer.Settings;

namespace ProxyTune.Trainer.Data;

/// <summary>An example as one model reads it.</summary>
/// <param name="Prompt">The rendered conversation up to where the answer begins.</param>
/// <param name="Answer">The answer and the token that ends it; the only tokens with a loss.</param>
/// <param name="Keep">See <see cref="Example"/>.</param>
internal sealed record AnswerTokens(int[] Prompt, int[] Answer, bool Keep = false)
{
    /// <summary>Positions that go through the model: the last token is only a target.</summary>
    public int Length => Prompt.Length + Answer.Length - 1;
}

/// <summary>Turns examples into token ids the way a served model will see them.</summary>
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
