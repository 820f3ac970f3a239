using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Serving;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Decoding.Audit;

/// <summary>Makes the prompts of an audit: the tuned and the untuned model read the same text, with the tuned model's template.</summary>
internal sealed class ContrastedPair
{
    private const string TunedName = "tuned";
    private const string UntunedName = "untuned";

    // Replaces infinity, which JSON cannot write.
    private const float MaxContrast = 100;

    // A delta of weight 0 would not run, so its contrast would not be known.
    private const float LeastWeight = 1e-9f;

    private readonly PromptReader reader;
    private readonly FusionPlan contrast;
    private readonly FusionPlan untunedAlone;

    public ContrastedPair(ServedExpert expert, int vocabularySize, AuditSettings settings)
    {
        ServedStream untuned = expert.Anti ?? throw new EngineException(
            EngineError.InvalidValue, $"expert is '{expert.Name}', which has no anti_expert to be compared with; accepted is an expert that has one.", "expert");
        reader = expert.Tuned.Reader;
        Tuned = new(expert.Tuned.Model, StreamRole.Expert, 1, TunedName, expert.Tuned.Patch?.Load());
        Untuned = new(untuned.Model, StreamRole.AntiExpert, 0, UntunedName, untuned.Patch?.Load());
        contrast = new FusionPlan([Tuned, Untuned], vocabularySize)
        {
            Deltas = [new("contrast", 0, 1, Math.Max((float)settings.Alpha, LeastWeight))],

            // A mask looks at the first stream, which is the tuned model here.
            Mask = new CandidateMask(MaskKind.Ratio, settings.Plausibility),
            Trace = true,
        };
        untunedAlone = new FusionPlan([Untuned with { Role = StreamRole.Base, Weight = 1 }], vocabularySize);
    }

    public FusionStream Tuned { get; }

    public FusionStream Untuned { get; }

    public Tokenizer Tokenizer => reader.Tokenizer;

    /// <summary>The prompt for an answer of both models to a user's message.</summary>
    /// <exception cref="EngineException">InvalidValue (prompts): the template refuses the message, or it holds a token without a row in some member.</exception>
    public Prompt Answer(string message)
    {
        int[] tokens = reader.Read([new ChatMessage("user", message)]);
        int width = contrast.VocabularySize!.Value;
        return tokens.All(id => id < width)
            ? new Prompt(contrast, [tokens, tokens])
            : throw new EngineException(EngineError.InvalidValue, $"prompts has a message with the token id {tokens.Max()}; accepted are ids up to {width - 1}.", "prompts");
    }

    /// <summary>Whether an answer to the message fits into both contexts.</summary>
    public bool HasRoom(string message) =>
        Answer(message).TokenCount < Math.Min(Tuned.Model.Info.ContextLength, Untuned.Model.Info.ContextLength);

    /// <summary>The prompt for a user's message that the untuned model writes.</summary>
    public Prompt Question() => new(untunedAlone, [reader.ReadUserTurn()]);

    /// <summary>The contrast of a token that was drawn from <see cref="Answer"/>, in nats.</summary>
    public static float ContrastOf(TokenTrace trace)
    {
        float difference = trace.Streams[TunedName] - trace.Streams[UntunedName];
        return Math.Clamp(difference, -MaxContrast, MaxContrast);
    }
}
