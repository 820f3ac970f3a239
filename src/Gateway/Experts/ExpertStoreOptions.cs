using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Gateway.Experts;

/// <summary>Limits of uploads. Sizes are in bytes.</summary>
public sealed record ExpertStoreOptions
{
    private const long Kibi = 1 << 10, Mebi = 1 << 20, Gibi = 1 << 30;

    /// <summary>Everything in the folder, including unfinished uploads. Default 16 GiB, at least 1 MiB.</summary>
    public long MaxBytes { get; init; } = 16 * Gibi;

    /// <summary>One upload, as sent and as unpacked. Default 4 GiB, from 1 KiB to <see cref="MaxBytes"/>.</summary>
    public long MaxUploadBytes { get; init; } = 4 * Gibi;

    /// <summary>Files of one upload, including the entries of its archive. Default 32, from 2 to 4096.</summary>
    public int MaxFiles { get; init; } = 32;

    /// <summary>Compression ratio of a file in an archive, beyond its first MiB. Default 100, from 1 to 1000.</summary>
    public int MaxRatio { get; init; } = 100;

    /// <summary>A file that is read as a whole: JSON, a template, a graph without its weights. Default 64 MiB, from 1 KiB to 1 GiB.</summary>
    public long MaxTextBytes { get; init; } = 64 * Mebi;

    /// <summary>The weights of a patch, which are read as a whole. Default 1 GiB, at least 1 KiB.</summary>
    public long MaxPatchBytes { get; init; } = Gibi;

    /// <summary>Number of experts. Default 10,000, from 1 to 1,000,000.</summary>
    public int MaxExperts { get; init; } = 10_000;

    /// <summary>Time for a model's checks and first run, in a separate process. Default two minutes, from a second to an hour.</summary>
    public TimeSpan MaxTrialTime { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>Memory of that process beyond the files that it maps. Default 8 GiB, at least 256 MiB.</summary>
    public long MaxTrialBytes { get; init; } = 8 * Gibi;

    /// <summary>Rank of a patch. Default 512, from 1 to 4096.</summary>
    public int MaxRank { get; init; } = 512;

    /// <summary>How long unfinished blobs are kept. Default a day, from a minute to a year.</summary>
    public TimeSpan BlobLifetime { get; init; } = TimeSpan.FromDays(1);

    /// <exception cref="EngineException">InvalidValue, naming the setting, its value and what is accepted.</exception>
    public ExpertStoreOptions Checked()
    {
        RangeCheck.AtLeast("Experts:MaxBytes", MaxBytes, Mebi);
        RangeCheck.Between("Experts:MaxUploadBytes", MaxUploadBytes, Kibi, MaxBytes);
        RangeCheck.Between("Experts:MaxFiles", MaxFiles, 2, 4096);
        RangeCheck.Between("Experts:MaxRatio", MaxRatio, 1, 1000);
        RangeCheck.Between("Experts:MaxTextBytes", MaxTextBytes, Kibi, Gibi);
        RangeCheck.AtLeast("Experts:MaxPatchBytes", MaxPatchBytes, Kibi);
        RangeCheck.Between("Experts:MaxExperts", MaxExperts, 1, 1_000_000);
        RangeCheck.Between("Experts:MaxRank", MaxRank, 1, 4096);
        RangeCheck.AtLeast("Experts:MaxTrialBytes", MaxTrialBytes, 256 * Mebi);
        RangeCheck.Between("Experts:MaxTrialTime", MaxTrialTime, TimeSpan.FromSeconds(1), TimeSpan.FromHours(1));
        RangeCheck.Between("Experts:BlobLifetime", BlobLifetime, TimeSpan.FromMinutes(1), TimeSpan.FromDays(365));
        return this;
    }
}
