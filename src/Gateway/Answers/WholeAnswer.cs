using System.Text;

namespace ProxyTune.Gateway.Answers;

/// <summary>One choice, collected from its deltas.</summary>
internal sealed class WholeAnswer(int index)
{
    private readonly StringBuilder text = new();
    private readonly List<AnswerToken> tokens = [];

    public int Index { get; } = index;

    public string Text => text.ToString();

    public IReadOnlyList<AnswerToken> Tokens => tokens;

    public string Finish { get; private set; } = "stop";

    public TraceSummary? Trace { get; private set; }

    public void Append(AnswerDelta delta)
    {
        text.Append(delta.Text);
        tokens.AddRange(delta.Tokens);
        Finish = delta.Finish ?? Finish;
        Trace = delta.Trace ?? Trace;
    }
}
