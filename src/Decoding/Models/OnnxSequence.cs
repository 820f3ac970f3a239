using Microsoft.ML.OnnxRuntime;

using ProxyTune.Decoding.Patches;

namespace ProxyTune.Decoding.Models;

/// <summary>A conversation of one ONNX model: a length, and where its keys and values lie.</summary>
internal sealed class OnnxSequence(OnnxLanguageModel model, ReadOnlyMemory<int> prompt, PatchSum? patch = null, FittedPatch? fitted = null) : Sequence
{
    /// <summary>What is added to the weights for this sequence, or null.</summary>
    public PatchSum? Patch => patch;

    /// <summary>The same in the graph's layout.</summary>
    public FittedPatch? Fitted => fitted;

    /// <summary>Prompt tokens, until they are computed.</summary>
    public ReadOnlyMemory<int> Pending => Computed == 0 ? prompt : default;

    /// <summary>Positions whose keys and values exist.</summary>
    public int Computed { get; set; }

    /// <summary>Tokens that the next run appends.</summary>
    public ReadOnlyMemory<int> Input { get; set; }

    /// <summary>Where the caller wants the logits of a joint run.</summary>
    public int LogitsRow { get; set; }

    /// <summary>Row in a shared buffer.</summary>
    public int Row { get; set; } = -1;

    /// <summary>Tensors of exactly <see cref="Computed"/> positions, where the graph cannot share a buffer.</summary>
    public OrtValue[] Past { get; set; } = [];

    public bool IsDisposed { get; private set; }

    public override int Length => Math.Max(Computed, prompt.Length);

    public override int Room => model.Info.ContextLength - Length;

    public override IReadOnlyList<int> EndOfTextIds => model.Info.EndOfTextIds;

    public override void Rewind(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, Length - prompt.Length);
        if (count > 0)
        {
            model.Truncate(this, Computed - count);
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing && !IsDisposed)
        {
            IsDisposed = true;
            model.Release(this);
        }
    }
}
