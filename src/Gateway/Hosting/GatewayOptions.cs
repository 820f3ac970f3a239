using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Import;
using ProxyTune.Decoding;
using ProxyTune.Decoding.Generation;
using ProxyTune.Gateway.Experts;

namespace ProxyTune.Gateway.Hosting;

/// <summary>Settings, from appsettings.json, then PROXYTUNE_ variables (PROXYTUNE_SCHEDULER__MAXWAITING), then the command line.</summary>
internal sealed record GatewayOptions
{
    // All threads start before anything is served, and each step weighs every draft length up to the longest.
    private const int MaxThreads = 1024, MaxDraft = 64, MaxGrace = 86_400;

    /// <summary>The models folder; null looks for <c>models</c> in the working folder and upwards.</summary>
    public string? Models { get; init; }

    /// <summary>Largest request body in bytes. Default 4 MiB.</summary>
    public long MaxBodyBytes { get; init; } = 4 << 20;

    /// <summary>Largest number of open connections; further ones are closed at once. Default 1024.</summary>
    public long MaxConnections { get; init; } = 1024;

    /// <summary>Seconds that running answers have to end when the server stops. After four fifths of it, those that still run end with an error event. At least 1; default 30.</summary>
    public double GraceSeconds { get; init; } = 30;

    public OperatorOptions Operator { get; init; } = new();

    public EngineOptions Engine { get; init; } = new();

    public SchedulerOptions Scheduler { get; init; } = new();

    /// <summary>What operators' uploads may cost.</summary>
    public ExpertStoreOptions Experts { get; init; } = new();

    /// <summary>Experts:Folder: where uploads are kept; null for <c>experts</c> in the models folder.</summary>
    public string? ExpertsFolder { get; private init; }

    public EvaluationOptions Gate { get; init; } = new();

    /// <summary>How models of others are imported.</summary>
    public ImportOptions Import { get; init; } = new();

    /// <exception cref="EngineException">InvalidValue, naming the setting.</exception>
    public static GatewayOptions Read(IConfiguration configuration)
    {
        GatewayOptions options;
        try
        {
            options = (configuration.Get<GatewayOptions>() ?? new GatewayOptions()) with { ExpertsFolder = configuration["Experts:Folder"] };
        }
        catch (InvalidOperationException error)
        {
            throw new EngineException(EngineError.InvalidValue, error.Message, inner: error);
        }

        if (options.Operator.Key is "")
        {
            throw new EngineException(EngineError.InvalidValue, "Operator:Key is empty; accepted is a text, or none at all, and then operators come from this machine only.", "Operator:Key");
        }

        if (!ModelImport.Precisions.Contains(options.Import.Precision))
        {
            throw new EngineException(EngineError.InvalidValue, $"Import:Precision is '{options.Import.Precision}'; accepted are {string.Join(", ", ModelImport.Precisions)}.", "Import:Precision");
        }

        RangeCheck.AtLeast(nameof(MaxBodyBytes), options.MaxBodyBytes, 1);
        RangeCheck.Between(nameof(GraceSeconds), options.GraceSeconds, 1, MaxGrace);
        RangeCheck.AtLeast(nameof(MaxConnections), options.MaxConnections, 1);
        RangeCheck.Between("Engine:Threads", options.Engine.Threads, 0, MaxThreads);
        RangeCheck.AtLeast("Engine:MaxSequences", options.Engine.MaxSequences, 1);
        RangeCheck.AtLeast("Engine:KeyValueBytes", options.Engine.KeyValueBytes ?? long.MaxValue, 1);
        RangeCheck.AtLeast("Scheduler:MaxRunning", options.Scheduler.MaxRunning, 1);
        RangeCheck.AtLeast("Scheduler:MaxRemote", options.Scheduler.MaxRemote, 1);
        RangeCheck.AtLeast("Scheduler:MaxWaiting", options.Scheduler.MaxWaiting, 1);
        RangeCheck.AtLeast("Scheduler:PromptTokensPerStep", options.Scheduler.PromptTokensPerStep, 1);
        RangeCheck.AtLeast("Engine:PatchBytes", options.Engine.PatchBytes ?? long.MaxValue, 1);
        RangeCheck.AtLeast("Gate:TimeoutSeconds", options.Gate.TimeoutSeconds, 1);
        RangeCheck.Between("Scheduler:Workers", options.Scheduler.Workers, 1, MaxThreads);
        RangeCheck.Between("Scheduler:MaxDraft", options.Scheduler.MaxDraft, 0, MaxDraft);
        return options;
    }
}

/// <param name="Precision">Import:Precision: fp32, int8 or int4. Default fp32.</param>
/// <param name="Folder">Import:Folder: where imports are kept; null for <c>.proxytune</c> beside the source, or a folder of the user's where that cannot be written.</param>
internal sealed record ImportOptions(string Precision = ModelImport.UsualPrecision, string? Folder = null);

/// <param name="Key">What operators send as <c>Authorization: Bearer KEY</c>; null takes connections from this machine as operators.</param>
internal sealed record OperatorOptions(string? Key = null);
