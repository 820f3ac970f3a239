using ProxyTune.Decoding.Models;

namespace ProxyTune.Testing;

/// <summary>A model that can throw where a decode loop asks for the size of rows, which no request can make fail.</summary>
public sealed class BrokenModel(ILanguageModel model) : ILanguageModel
{
    private volatile bool isBroken;

    public bool IsBroken
    {
        set => isBroken = value;
    }

    public ModelInfo Info => isBroken && Thread.CurrentThread.Name == "decode" ? throw new InvalidOperationException("out of order") : model.Info;

    public Sequence Start(Prompt prompt) => model.Start(prompt);

    public RowBatch Forward(IReadOnlyList<Segment> batch) => model.Forward(batch);

    public void Dispose() => model.Dispose();
}
