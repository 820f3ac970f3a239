using Microsoft.ML.OnnxRuntime;

namespace ProxyTune.Decoding.Models;

/// <summary>Where keys and values of a model's sequences live, and how a run reaches them.</summary>
internal abstract class KeyValueCache : IDisposable
{
    /// <summary>Whether sequences of different lengths can append one token each in one run.</summary>
    public abstract bool Batches { get; }

    public abstract void Add(OnnxSequence sequence);

    public abstract void Remove(OnnxSequence sequence);

    /// <summary>
    /// Binds past and present of a run over these sequences, reordering the list to the order of its rows. Each has room for
    /// <paramref name="positions"/> more positions then.
    /// </summary>
    public abstract void Bind(OrtIoBinding binding, List<OnnxSequence> rows, int positions);

    /// <summary>The run succeeded: its sequences are that many positions longer.</summary>
    public abstract void Advance(List<OnnxSequence> rows, int positions);

    public abstract void Truncate(OnnxSequence sequence, int length);

    public abstract void Dispose();
}
