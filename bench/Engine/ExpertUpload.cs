namespace ProxyTune.Bench;

/// <summary>Uploads experts to a gateway.</summary>
internal static class ExpertUpload
{
    /// <summary>Sends the files of a folder in one form.</summary>
    /// <param name="more">Further files, which the folder does not have.</param>
    public static async Task<HttpResponseMessage> PostAsync(HttpClient http, string id, string folder, params (string Name, string Text)[] more)
    {
        using MultipartFormDataContent form = new() { { new StringContent(id), "id" } };
        foreach (string file in Directory.GetFiles(folder))
        {
            form.Add(new StreamContent(File.OpenRead(file)), "file", Path.GetFileName(file));
        }

        foreach ((string name, string text) in more)
        {
            form.Add(new StringContent(text), "file", name);
        }

        return await http.PostAsync("/v1/experts", form);
    }
}
