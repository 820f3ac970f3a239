using ProxyTune.Decoding.Text;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Fusion;

/// <summary>Rows of logits directly from the graphs, after the prompt "Where?" of each role and the tokens of an answer.</summary>
internal sealed class MemberRows(TinyFamily family, IReadOnlyList<int> answer) : IDisposable
{
    public const string Plain = "Where?";
    public const string Chat = "<|user|>\nWhere?<|end|>\n<|assistant|>\n";

    private readonly Tokenizer tokenizer = Tokenizer.Load(family.PathOf(TinyFamily.Base));

    /// <summary>s_M.</summary>
    public double[] Base => After(TinyFamily.Base, Plain);

    /// <summary>s_M of the conversation with its context message.</summary>
    public double[] BaseInContext => After(TinyFamily.Base, $"The cat sat.\n{Plain}");

    public double[] Qa => After(TinyFamily.Expert, Chat);

    public double[] Poet => After(MethodsGateway.Poet, Chat);

    /// <summary>s_-.</summary>
    public double[] Small => After(TinyFamily.AntiExpert, Chat);

    public double[] After(string model, string text) =>
        [.. RawDecoder.Logits(family.PathOf(model), [.. tokenizer.EncodeRendered(text), .. answer])[^1].Select(logit => (double)logit)];

    public int IdOf(IEnumerable<byte> bytes) => Enumerable.Range(0, tokenizer.VocabularySize).Single(id => tokenizer.TokenBytes(id).SequenceEqual(bytes));

    public void Dispose() => tokenizer.Dispose();
}
