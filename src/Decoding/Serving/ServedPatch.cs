using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Serving;

/// <summary>The patches of a stream. They are read when a request needs them and they are not in memory.</summary>
/// <param name="name">A unique name of the model with the sum.</param>
/// <param name="hash">The hash of the contents.</param>
/// <param name="read">Reads the patches and checks that their contents are still those of the hash.</param>
internal sealed class ServedPatch(string name, string hash, OnnxLanguageModel model, ResidentPatches resident, Func<PatchSum> read)
{
    public string Name => name;

    public string Hash => hash;

    public OnnxLanguageModel Model => model;

    /// <summary>The patch, ready to run.</summary>
    /// <exception cref="EngineException">InvalidModelFolder: its files are broken or not what they were.</exception>
    public PatchSum Load() => resident.Get((model, hash), () => QuietThread.RunAsync(() =>
    {
        PatchSum patch = read();
        model.Prepare(patch);
        return patch;
    }).GetAwaiter().GetResult());

    /// <summary>Removes it from memory. Running requests keep it until they end.</summary>
    public void Forget() => resident.Forget(key => key.Equals((model, hash)));
}
