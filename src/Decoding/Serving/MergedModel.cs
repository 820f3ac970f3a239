using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Export;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Serving;

/// <summary>A model folder with patches merged in: as fast as the folder alone. Equal merges share one member.</summary>
/// <remarks>
/// The merge is written as a model folder, loaded like any other, and deleted at once: the loaded model keeps what it needs. A folder that is kept
/// for the next start would have to be trusted, locked and cleaned up, and would save less time than loading takes.
/// </remarks>
internal static class MergedModel
{
    /// <summary>Name of a merge. It does not depend on the order of the patches.</summary>
    public static string Name(string model, IEnumerable<(string Patch, double Weight)> patches) => string.Concat(
        patches.OrderBy(patch => patch.Patch, StringComparer.Ordinal).Select(patch => FormattableString.Invariant($" + {patch.Weight} {patch.Patch}")).Prepend(model));

    /// <param name="folder">A checkpoint with config.json and model.safetensors; needs no graph.</param>
    /// <exception cref="EngineException">As of <see cref="CheckpointExporter.Export"/> and <see cref="OnnxLanguageModel.Load"/>.</exception>
    public static OnnxLanguageModel Load(string folder, IReadOnlyList<WeightedPatch> patches, EngineOptions options, KeyValueMemory? memory = null)
    {
        // Only this user can read it, and its name cannot be predicted.
        DirectoryInfo merged = Directory.CreateTempSubdirectory("proxytune-merge-");
        try
        {
            CheckpointExporter.Export(folder, merged.FullName, patches);
            return OnnxLanguageModel.Load(
                merged.FullName, options, Name(new DirectoryInfo(folder).Name, patches.Select(patch => (patch.Patch.Name, patch.Weight))), memory);
        }
        finally
        {
            merged.Delete(recursive: true);
        }
    }
}
