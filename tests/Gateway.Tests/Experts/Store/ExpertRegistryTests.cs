using System.Text.Json;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Serving;
using ProxyTune.Gateway.Experts;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Experts;

/// <summary>Tests uploads that are served, ported and retired, across restarts.</summary>
public sealed class ExpertRegistryTests : IAsyncLifetime, IDisposable
{
    private const string Evolved = "evolved";

    private readonly TinyFamily family = new();
    private readonly string folder = Directory.CreateTempSubdirectory("experts-").FullName;
    private Server server = null!;

    public ExpertRegistryTests()
    {
        family.WriteModel(Evolved, seed: 7);
        family.WriteModel("wide", seed: 8);
        TinyModel.Write(family.PathOf("wide"), new() { Seed = 8, Hidden = 48, Context = TinyFamily.ContextLength });
    }

    public async Task InitializeAsync() => server = await Server.StartAsync(family.Folder, folder);

    public async Task DisposeAsync() => await server.DisposeAsync();

    public void Dispose()
    {
        family.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Fits_Patch_ReportsNativePortableAndUnfitBases()
    {
        await UploadAsync("known", Lineage.Of(family.PathOf(TinyFamily.Base)));
        await UploadAsync("stranger", weights: null);
        await UploadAsync("foreign", Lineage.Of(family.PathOf(TinyFamily.Base)), tokenizer: new string('0', 64));

        Assert.Equal((PatchState.Native, true), Fit("known", TinyFamily.Base));
        Assert.Equal((PatchState.Ported, false), Fit("known", Evolved));
        Assert.Equal((PatchState.Ported, false), Fit("stranger", TinyFamily.Base));
        Assert.Equal((PatchState.Refused, false), Fit("known", "wide"));
        Assert.Contains("[64, 48]", server.Registry.Fit("known", "wide").Reason, StringComparison.Ordinal);
        Assert.Equal((PatchState.Refused, false), Fit("foreign", TinyFamily.Base));
        Assert.Contains("tokenizer", server.Registry.Fit("foreign", TinyFamily.Base).Reason, StringComparison.Ordinal);
        Assert.Equal(["base", Evolved, "small", "small-qa", "wide"], server.Registry.Fits("known").Select(fit => fit.Base));
    }

    [Fact]
    public async Task ServeAsync_NativePatch_NeedsNoBaseAndIsServedAgainAfterARestart()
    {
        await UploadAsync("known", Lineage.Of(family.PathOf(TinyFamily.Base)));
        ServedModel served = await server.Registry.ServeAsync("known", new());
        string fingerprint = served.Fingerprint;

        await RestartAsync();

        Assert.Empty(server.Registry.Failures);
        Assert.Equal(fingerprint, server.Catalog.Get("known").Fingerprint);
        Assert.NotNull(server.Catalog.Get("known").Plan(AskedFusion.Nothing).LoadPatches().Streams[0].Patch);
        Assert.Equal(["known"], await server.Registry.RetireAsync("known"));
        await RestartAsync();
        Assert.Throws<EngineException>(() => server.Catalog.Get("known"));
    }

    [Fact]
    public async Task ServeAsync_PatchOfOtherWeights_IsServedAfterAnEvaluationOrUngated()
    {
        await UploadAsync("known", Lineage.Of(family.PathOf(TinyFamily.Base)));
        await RefusedAsync(EngineError.NotEvaluated, "ungated", () => server.Registry.ServeAsync("known", new() { Base = Evolved }));
        await RefusedAsync(EngineError.InvalidValue, "[64, 48]", () => server.Registry.ServeAsync("known", new() { Base = "wide", Ungated = true }));

        await server.Registry.ServeAsync("known", new() { Base = Evolved, Name = "brave", Ungated = true });
        server.Registry.Record(server.Registry.Examine("known", Evolved) with { State = PatchState.Refused, Reason = "too bad" });
        Assert.Equal((PatchState.Refused, false), Fit("known", Evolved));
        await RefusedAsync(EngineError.InvalidValue, "too bad", () => server.Registry.ServeAsync("known", new() { Base = Evolved }));

        server.Registry.Record(server.Registry.Examine("known", Evolved) with { State = PatchState.Ported });
        await server.Registry.ServeAsync("known", new() { Base = Evolved });
        Assert.Equal(["brave", "known"], server.Registry.ServedOf("known").Select(served => served.Name));
        Assert.Equal([true, false], server.Registry.ServedOf("known").Select(served => served.Ungated));

        // The same patch is served on both bases at once.
        await server.Registry.ServeAsync("known", new() { Name = "home" });
        Assert.Equal(["home", "known"], new[] { "home", "known" }.Where(name => server.Catalog.Get(name).Plan(AskedFusion.Nothing).LoadPatches().Streams[0].Patch is not null));
        Assert.NotEqual(server.Catalog.Get("home").Fingerprint, server.Catalog.Get("known").Fingerprint);
    }

    [Fact]
    public async Task MoveAsync_ThenRollBack_ChangesTheBaseUnderOneName()
    {
        await UploadAsync("known", Lineage.Of(family.PathOf(TinyFamily.Base)));
        await server.Registry.ServeAsync("known", new() { Name = "alice" });
        string before = server.Catalog.Get("alice").Fingerprint;
        await RefusedAsync(EngineError.NotEvaluated, "ungated", () => server.Registry.MoveAsync("known", "alice", Evolved));
        Assert.Equal(before, server.Catalog.Get("alice").Fingerprint);

        server.Registry.Record(server.Registry.Examine("known", Evolved) with { State = PatchState.Ported, Moved = "alice" });
        await server.Registry.MoveAsync("known", "alice", Evolved);
        Assert.NotEqual(before, server.Catalog.Get("alice").Fingerprint);
        await RestartAsync();
        Assert.Equal(Evolved, server.Registry.ServedOf("known").Single().Base);

        Assert.Equal("alice", (await server.Registry.RollBackAsync("known")).Moved);
        Assert.Equal(before, server.Catalog.Get("alice").Fingerprint);
        Assert.Equal((PatchState.Ported, false), Fit("known", Evolved));
        await RestartAsync();
        Assert.Equal(before, server.Catalog.Get("alice").Fingerprint);
        await RefusedAsync(EngineError.InvalidValue, "nothing to roll back", () => server.Registry.RollBackAsync("known"));
    }

    [Fact]
    public async Task Delete_ServedExpert_IsRefusedUntilItIsRetired()
    {
        await UploadAsync("known", Lineage.Of(family.PathOf(TinyFamily.Base)));
        await server.Registry.ServeAsync("known", new() { Name = "alice" });
        await RefusedAsync(EngineError.Conflict, "'alice'", () => Task.Run(() => server.Registry.Delete("known")));
        await server.Registry.RetireAsync("known", "alice");
        server.Registry.Delete("known");
        Assert.Empty(server.Store.Experts);
        Assert.Empty(Directory.GetDirectories(Path.Combine(folder, "content")));
    }

    /// <summary>Serves and deletes the same expert at the same time: the registry never names an expert that is gone.</summary>
    [Fact]
    public async Task Delete_WhileItIsBeingServed_OneOfTheTwoIsRefused()
    {
        int served = 0, deleted = 0;
        for (int round = 0; round < 40; round++)
        {
            await UploadAsync("known", Lineage.Of(family.PathOf(TinyFamily.Base)));
            Task serve = Task.Run(() => server.Registry.ServeAsync("known", new() { Name = "alice" }));
            Task delete = Task.Run(async () =>
            {
                await Task.Delay(round % 8);
                server.Registry.Delete("known");
            });
            await Task.WhenAll(serve, delete).ContinueWith(_ => { }, TaskScheduler.Default);

            Assert.True(serve.IsCompletedSuccessfully != delete.IsCompletedSuccessfully, $"round {round}: {serve.Exception} {delete.Exception}");
            Assert.Equal(serve.IsCompletedSuccessfully ? 1 : 0, server.Store.Experts.Count);
            Assert.Equal(serve.IsCompletedSuccessfully ? 1 : 0, server.Store.Registry.Served.Count);
            if (serve.IsCompletedSuccessfully)
            {
                served++;
                await server.Registry.RetireAsync("known");
                server.Registry.Delete("known");
            }
            else
            {
                deleted++;
                Assert.IsType<EngineException>(serve.Exception!.InnerException);
            }
        }

        Assert.True(served > 0 && deleted > 0, $"{served} times served, {deleted} times deleted");
    }

    /// <summary>Checks that a name in an entry keeps its meaning when a folder of the same name is added after an upload.</summary>
    [Fact]
    public async Task OpenAsync_FolderOfTheSameName_IsNotServedInItsPlace()
    {
        Assert.Equal(EngineError.Conflict, Assert.Throws<EngineException>(() => server.Registry.RequireFree(TinyFamily.AntiExpert)).Error);
        server.Registry.RequireFree("known");
        await UploadAsync("known", Lineage.Of(family.PathOf(TinyFamily.Base)));
        await server.Registry.ServeAsync("known", new() { Name = "alice" });
        TinyPatch.Write(family.PathOf("patches", "known"), family.PathOf(TinyFamily.Base), 77, "q_proj");

        await RestartAsync();

        Assert.Contains("'known'", Assert.Single(server.Registry.Failures).Value, StringComparison.Ordinal);
        Assert.Throws<EngineException>(() => server.Catalog.Get("alice"));
    }

    [Fact]
    public async Task ServeAsync_SameFilesUnderTwoIds_RetiringOneKeepsTheOther()
    {
        // Both have the same length, and so the same seeds.
        await UploadAsync("known", Lineage.Of(family.PathOf(TinyFamily.Base)));
        await UploadAsync("other", Lineage.Of(family.PathOf(TinyFamily.Base)));
        Assert.Single(server.Store.Experts.DistinctBy(expert => expert.Content));
        await server.Registry.ServeAsync("known", new());
        await server.Registry.RetireAsync("known");
        server.Registry.Delete("known");

        await server.Registry.ServeAsync("other", new());

        Assert.NotNull(server.Catalog.Get("other").Plan(AskedFusion.Nothing).LoadPatches().Streams[0].Patch);
    }

    [Fact]
    public async Task ServeAsync_ModelFolder_JoinsAFusionAndSurvivesARestart()
    {
        string model = Directory.CreateTempSubdirectory("brought-").FullName;
        TinyModel.Write(model, new() { Seed = 11, Context = TinyFamily.ContextLength });
        using (ExpertUpload upload = server.Store.Begin())
        {
            foreach (string file in Directory.GetFiles(model).Where(file => Path.GetFileName(file) != "README.md"))
            {
                using FileStream content = File.OpenRead(file);
                await upload.AddAsync(Path.GetFileName(file), content);
            }

            await upload.CommitAsync("tuned");
        }

        Directory.Delete(model, recursive: true);
        JsonElement entry = JsonElement.Parse("""
            {"name":"fused","base":"base","method":"proxy","experts":[{"name":"e","model":"tuned","anti_expert":"small"}]}
            """);
        await RefusedAsync(EngineError.InvalidValue, "does not name", () => server.Registry.ServeAsync("tuned", new() { Entry = JsonElement.Parse("""{"name":"x","base":"base"}""") }));
        await RefusedAsync(EngineError.InvalidValue, "'nam' is not a field", () => server.Registry.ServeAsync("tuned", new() { Entry = JsonElement.Parse("""{"nam":"x"}""") }));
        await server.Registry.ServeAsync("tuned", new());
        await server.Registry.ServeAsync("tuned", new() { Entry = entry });
        string fingerprint = server.Catalog.Get("fused").Fingerprint;

        await RestartAsync();

        Assert.Empty(server.Registry.Failures);
        Assert.Equal(fingerprint, server.Catalog.Get("fused").Fingerprint);
        Assert.Equal(["tuned", "fused"], await server.Registry.RetireAsync("tuned"));
    }

    [Fact]
    public async Task OpenAsync_BaseOrPatchHasChanged_ServesTheRestAndReportsTheFault()
    {
        await UploadAsync("known", Lineage.Of(family.PathOf(TinyFamily.Base)));
        await UploadAsync("other", Lineage.Of(family.PathOf(Evolved)));
        await server.Registry.ServeAsync("known", new());
        await server.Registry.ServeAsync("other", new());
        family.WriteModel(TinyFamily.Base, seed: 99);

        await RestartAsync();

        Assert.Contains("other weights", Assert.Single(server.Registry.Failures).Value, StringComparison.Ordinal);
        Assert.Contains("other weights", Assert.Single(server.Registry.ServedOf("known")).Failure, StringComparison.Ordinal);
        Assert.Contains("other", server.Catalog.Models.Select(model => model.Name));
        Assert.Throws<EngineException>(() => server.Catalog.Get("known"));
        Assert.Equal(["known"], await server.Registry.RetireAsync("known"));

        string damaged = Path.Combine(server.Store.FolderOf(server.Store.Get("other")), TinyPatch.WeightsFile);
        byte[] bytes = File.ReadAllBytes(damaged);
        bytes[^1] ^= 1;
        File.WriteAllBytes(damaged, bytes);
        EngineException error = Assert.Throws<EngineException>(() => server.Catalog.Get("other").Plan(AskedFusion.Nothing).LoadPatches());
        Assert.Equal(EngineError.DamagedExpert, error.Error);

        await UploadAsync("other", Lineage.Of(family.PathOf(Evolved)));
        Assert.NotNull(server.Catalog.Get("other").Plan(AskedFusion.Nothing).LoadPatches().Streams[0].Patch);
    }

    private (PatchState State, bool MayServe) Fit(string id, string name) => server.Registry.Fit(id, name) is var fit ? (fit.State, fit.MayServe) : default;

    private static async Task RefusedAsync(EngineError kind, string words, Func<Task> act)
    {
        EngineException error = await Assert.ThrowsAsync<EngineException>(act);
        Assert.Equal(kind, error.Error);
        Assert.Contains(words, error.Message, StringComparison.Ordinal);
    }

    private async Task RestartAsync()
    {
        await server.DisposeAsync();
        server = await Server.StartAsync(family.Folder, folder);
    }

    private async Task UploadAsync(string id, string? weights, string? tokenizer = null)
    {
        string patch = Directory.CreateTempSubdirectory("patch-").FullName;
        TinyPatch.Write(patch, family.PathOf(TinyFamily.Base), seed: id.Length, "q_proj", "v_proj");
        if (weights is not null)
        {
            new PatchManifest { Base = new("base", weights, tokenizer) }.Write(patch);
        }

        using ExpertUpload upload = server.Store.Begin();
        foreach (string file in Directory.GetFiles(patch))
        {
            using FileStream content = File.OpenRead(file);
            await upload.AddAsync(Path.GetFileName(file), content);
        }

        await upload.CommitAsync(id);
        Directory.Delete(patch, recursive: true);
    }

    private sealed record Server(ModelHost Catalog, DecodeScheduler Scheduler, ExpertStore Store, ExpertRegistry Registry) : IAsyncDisposable
    {
        public static async Task<Server> StartAsync(string models, string experts)
        {
            ExpertStore store = ExpertStore.Open(experts);
            ModelHost catalog = ModelHost.Load(models, new(), new StoredUploads(store));
            DecodeScheduler scheduler = new(catalog.Ensemble, new());
            return new(catalog, scheduler, store, await ExpertRegistry.OpenAsync(store, catalog, scheduler));
        }

        public async ValueTask DisposeAsync()
        {
            Registry.Dispose();
            Store.Dispose();
            await Scheduler.DisposeAsync();
            Catalog.Dispose();
        }
    }
}
