using System.Text.Json;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>The tensors of a checkpoint's folder: model.safetensors, or the files that model.safetensors.index.json names.</summary>
internal sealed class CheckpointFiles : IDisposable
{
    private const string WeightMap = "weight_map";

    private static readonly string[] Pickles = [".bin", ".pt", ".pth", ".ckpt"];

    private readonly string folder;
    private readonly IReadOnlyList<SafetensorsFile> files;

    private CheckpointFiles(string folder, IReadOnlyList<SafetensorsFile> files) => (this.folder, this.files) = (folder, files);

    /// <summary>All tensors with their files.</summary>
    public IEnumerable<(SafetensorsFile File, string Name)> Tensors => files.SelectMany(file => file.Tensors.Keys, (file, name) => (file, name));

    /// <summary>Whether the folder has weights.</summary>
    public static bool Exist(string folder) => File.Exists(Path.Combine(folder, FileNames.Weights)) || File.Exists(Path.Combine(folder, FileNames.WeightsIndex));

    /// <exception cref="EngineException">InvalidModelFolder: a file is missing or broken, or the weights are pickles; names the file.</exception>
    public static CheckpointFiles Open(string folder)
    {
        string single = Path.Combine(folder, FileNames.Weights), index = Path.Combine(folder, FileNames.WeightsIndex);
        if (File.Exists(single) || !File.Exists(index))
        {
            RefusePickles(folder, single);
            return new(folder, [SafetensorsFile.Open(single)]);
        }

        List<SafetensorsFile> files = [];
        try
        {
            Dictionary<string, string> places = Places(index);
            foreach (string name in places.Values.Distinct().Order(StringComparer.Ordinal))
            {
                files.Add(SafetensorsFile.Open(Path.Combine(folder, name)));
            }

            Check(index, places, files);
            return new(folder, files);
        }
        catch
        {
            files.ForEach(file => file.Dispose());
            throw;
        }
    }

    /// <summary>Finds a tensor by one of its names.</summary>
    /// <param name="names">The first one is the usual one.</param>
    /// <exception cref="EngineException">InvalidModelFolder: no file has it.</exception>
    public (SafetensorsFile File, string Name) Find(params string[] names) => TryFind(out (SafetensorsFile, string) tensor, names)
        ? tensor
        : throw EngineException.InFile(files.Count == 1 ? files[0].Path : Path.Combine(folder, FileNames.WeightsIndex), $"no tensor '{names[0]}'.", names[0]);

    /// <summary>Finds a tensor by one of its names; false if no file has it.</summary>
    public bool TryFind(out (SafetensorsFile File, string Name) tensor, params string[] names)
    {
        tensor = names.SelectMany(name => files.Where(file => file.Tensors.ContainsKey(name)), (name, file) => (file, name)).FirstOrDefault();
        return tensor.File is not null;
    }

    public void Dispose()
    {
        foreach (SafetensorsFile file in files)
        {
            file.Dispose();
        }
    }

    private static Dictionary<string, string> Places(string index)
    {
        JsonFields map = JsonFields.Read(index).Object(WeightMap);
        Dictionary<string, string> places = [];
        foreach (JsonProperty place in map.Json.EnumerateObject())
        {
            bool isName = place.Value.ValueKind == JsonValueKind.String && place.Value.GetString() is { Length: > 0 } name && Path.GetFileName(name) == name && !name.Contains('\\', StringComparison.Ordinal);
            places[place.Name] = isName ? place.Value.GetString()! : throw map.Wrong(place.Name, "the name of a file in the same folder");
        }

        return places.Count > 0 ? places : throw EngineException.InFile(index, $"{WeightMap} is empty; accepted is an object with a file for each tensor.");
    }

    private static void Check(string index, Dictionary<string, string> places, List<SafetensorsFile> files)
    {
        Dictionary<string, SafetensorsFile> byName = files.ToDictionary(file => Path.GetFileName(file.Path));
        if (places.FirstOrDefault(place => !byName[place.Value].Tensors.ContainsKey(place.Key)) is { Key: { } missing } wrong)
        {
            throw EngineException.InFile(index, $"tensor '{missing}' is said to be in {wrong.Value}, which does not have it.", missing);
        }
    }

    private static void RefusePickles(string folder, string weights)
    {
        if (!File.Exists(weights) && Directory.Exists(folder)
            && Directory.GetFiles(folder).FirstOrDefault(file => Pickles.Contains(Path.GetExtension(file), StringComparer.OrdinalIgnoreCase)) is { } pickle)
        {
            throw EngineException.InFile(weights, $"no such file. {Path.GetFileName(pickle)} may be a pickle, which can run code and is not read; accepted are safetensors files.");
        }
    }
}
