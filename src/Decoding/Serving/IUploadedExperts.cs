using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Serving;

/// <summary>The experts that operators uploaded. Entries that are served at run time may name them. Thread-safe.</summary>
public interface IUploadedExperts
{
    /// <summary>The uploaded patch of that name; null if there is none.</summary>
    IUploadedExpert? FindPatch(string name);

    /// <summary>The uploaded model of that name; null if there is none.</summary>
    IUploadedExpert? FindModel(string name);
}

/// <summary>The files of one uploaded expert.</summary>
public interface IUploadedExpert
{
    /// <summary>Path of the folder. Its files are only read.</summary>
    string Folder { get; }

    /// <summary>SHA-256 of the folder's content, as it was uploaded.</summary>
    string Content { get; }

    /// <summary>Reads all files and compares them with <see cref="Content"/>. Called before they are loaded, by any thread.</summary>
    /// <exception cref="EngineException">DamagedExpert: a file is not what was uploaded.</exception>
    void Verify();
}

/// <summary>No uploads: only the models folder is served.</summary>
internal sealed class NoUploads : IUploadedExperts
{
    public IUploadedExpert? FindPatch(string name) => null;

    public IUploadedExpert? FindModel(string name) => null;
}
