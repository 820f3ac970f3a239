using System.Collections.Concurrent;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Serving;

namespace ProxyTune.Gateway.Experts;

/// <summary>States of patches on the bases that the host has loaded. Thread-safe.</summary>
internal sealed class PatchFitting(ExpertStore store, ModelHost host)
{
    private readonly ConcurrentDictionary<LoadedModel, string?> lineages = [];

    /// <summary>Names of the loaded model folders, which patches can be added to.</summary>
    public IEnumerable<string> Bases => host.LoadedFolders.Keys.Order(StringComparer.Ordinal);

    /// <summary>Hash of the weights of a loaded model folder.</summary>
    /// <exception cref="EngineException">UnknownModel: there is no such folder, or no served model uses it.</exception>
    public string WeightsOf(string folder) => Member(folder).Model.Info.Hash;

    /// <exception cref="EngineException">UnknownModel, as <see cref="WeightsOf"/>.</exception>
    public PatchFit Of(ExpertRecord patch, string folder)
    {
        LoadedModel member = Member(folder);
        PatchManifest? manifest = PatchManifest.TryRead(store.FolderOf(patch));
        if (Misfit(patch, member, manifest) is { } misfit)
        {
            return new(folder, PatchState.Refused, false, misfit) { Misfit = misfit };
        }

        string? lineage = LineageOf(member);
        string weights = member.Model.Info.Hash;
        PortRecord? port = store.Registry.Ports.LastOrDefault(port => port.Expert == patch.Id && port.Base == folder && port.Weights == weights);
        return manifest?.Base?.Weights is { } trained && trained == lineage
            ? new(folder, PatchState.Native, true, "trained on these weights") { Port = port }
            : new(folder, port?.State ?? PatchState.Ported, port?.State == PatchState.Ported, port?.Reason ?? WhyNotNative(manifest, lineage)) { Port = port };
    }

    /// <summary>Compares the update with the base's weights, and, if the donor is loaded too, with the change between the donor's weights and the base's.</summary>
    /// <exception cref="EngineException">UnknownModel, as <see cref="WeightsOf"/>.</exception>
    public UpdateDiagnostics Diagnose(ExpertRecord patch, string folder)
    {
        string? trained = PatchManifest.TryRead(store.FolderOf(patch))?.Base?.Weights;
        LoadedModel? donor = trained is null ? null : host.LoadedFolders.Values.FirstOrDefault(member => LineageOf(member) == trained);
        return UpdateDiagnostics.Of(LowRankPatch.Read(store.FolderOf(patch), patch.Id), Member(folder).Folder, donor?.Folder);
    }

    /// <summary>Hashes the checkpoints of loaded folders, which may take long, so that <see cref="Of"/> is fast.</summary>
    /// <returns>The number of loaded folders.</returns>
    public int ReadLineages(IEnumerable<string> folders) =>
        folders.Distinct().Select(folder => host.LoadedFolders.GetValueOrDefault(folder)).OfType<LoadedModel>().Select(LineageOf).Count();

    private string? LineageOf(LoadedModel member) => lineages.GetOrAdd(member, member => Lineage.Of(member.Folder));

    private static string WhyNotNative(PatchManifest? manifest, string? lineage) =>
        manifest?.Base?.Weights is null ? "does not say on which weights it was trained"
        : lineage is null ? "the origin of these weights is unknown"
        : "trained on other weights";

    private LoadedModel Member(string folder) => host.LoadedFolders.GetValueOrDefault(folder)
        ?? throw new EngineException(EngineError.UnknownModel, $"No served model uses a model folder '{folder}'; there are: {Listing.Of(Bases)}.", "base");

    private string? Misfit(ExpertRecord patch, LoadedModel member, PatchManifest? manifest)
    {
        if (manifest?.Base?.Tokenizer is { } tokenizer && tokenizer != member.Tokenizer.VocabularyHash)
        {
            return "trained with another tokenizer, so its token ids have other meanings";
        }

        try
        {
            LowRankPatch read = LowRankPatch.Read(store.FolderOf(patch), patch.Id);
            manifest?.CheckFits(read);
            ((OnnxLanguageModel)member.Model).Check(new PatchSum([new WeightedPatch(read, 1)]));
            return null;
        }
        catch (EngineException error)
        {
            return error.MessageWithoutFolder;
        }
    }
}
